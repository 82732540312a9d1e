from __future__ import unicode_literals

from pysoa.client.middleware import ClientMiddleware
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

    def action(self, process_action):
        def handler(action_request):
            action_request.body.pop('trail', None)
            action_request.context['trail'] = self.trail
            response = process_action(action_request)
            if action_request.action == 'count':
                response.body['trail'] = action_request.context['trail']
            return response
        return handler


class SignedClientMiddleware(ClientMiddleware):
    def __init__(self, signature):
        self.signature = signature

    def request(self, send_request):
        def handler(request_id, meta, job_request, message_expiry_in_seconds):
            job_request.context['user'] = self.signature
            send_request(request_id, meta, job_request, message_expiry_in_seconds)
        return handler

    def response(self, get_response):
        def handler(receive_timeout_in_seconds):
            request_id, job_response = get_response(receive_timeout_in_seconds)
            for action_response in job_response.actions if job_response else []:
                action_response.body['signed_by'] = self.signature
            return request_id, job_response
        return handler
