from __future__ import absolute_import, unicode_literals

from pysoa.server.middleware import ServerMiddleware


class CountJobs(ServerMiddleware):
    def __init__(self):
        self.count = 0

    def job(self, process_job):
        def handler(job_request):
            self.count += 1
            return process_job(job_request)

        return handler
