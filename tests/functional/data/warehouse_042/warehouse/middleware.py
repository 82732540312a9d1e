from __future__ import unicode_literals

from pysoa.server.middleware import ServerMiddleware


class AuditMiddleware(ServerMiddleware):
    def __init__(self, trail):
        self.trail = trail

    def job(self, process_job):
        def handler(job_request):
            for action in job_request['actions']:
                action['body'].setdefault('trail', self.trail)
            user = job_request.get('context', {}).get('user', 'nobody')
            job_request['context']['audited_for'] = user
            return process_job(job_request)
        return handler
