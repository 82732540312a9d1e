from __future__ import unicode_literals

from pysoa.client import Client
from pysoa.common.transport.exceptions import MessageReceiveTimeout
from pysoa.common.types import Error, JobResponse
from pysoa.server import Server
from pysoa.server.action import Action
from pysoa.server.action.status import StatusActionFactory
from pysoa.server.errors import ActionError
from pysoa.server.logging import RecursivelyCensoredDictWrapper
from pysoa.server.settings import PolymorphicServerSettings

import warehouse


class CountAction(Action):
    def run(self, request):
        try:
            stock = request.client.call_action('stock', 'count', {}, continue_on_error=False)
        except MessageReceiveTimeout:
            raise ActionError(errors=[Error(code='NO_STOCK', message='The stock does not answer')])
        return {
            'count': stock.body['count'],
            'trail': request.body['trail'],
            'audited_for': request.context['audited_for'],
            'shown': str(RecursivelyCensoredDictWrapper({'password': 'secret'})),
        }


class FailAction(Action):
    def run(self, request):
        response = warehouse.server_of_this_worker.response_to(ValueError('kaboom'))
        assert isinstance(response, JobResponse)
        return {'errors': len(response.errors)}


class WarehouseServer(Server):
    service_name = 'warehouse'
    settings_class = PolymorphicServerSettings
    action_class_map = {
        'count': CountAction,
        'fail': FailAction,
        'status': StatusActionFactory(warehouse.__version__),
    }

    def __init__(self, settings):
        super(WarehouseServer, self).__init__(settings)
        warehouse.server_of_this_worker = self
        self.names_of_middleware = [type(each).__name__ for each in self.middleware]

    def response_to(self, exception):
        return self.handle_job_exception(exception)

    def make_client(self, context):
        return Client(self.settings['client_routing'], context=context)

    @classmethod
    def main(cls):
        super(WarehouseServer, cls).main()
