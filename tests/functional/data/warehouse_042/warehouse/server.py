from __future__ import unicode_literals

import logging

from conformity import fields
import six

from pysoa.client import Client
from pysoa.common.transport.exceptions import MessageReceiveTimeout
from pysoa.common.types import Error, JobResponse
from pysoa.server import Server
from pysoa.server.action import Action
from pysoa.server.action.status import BaseStatusAction, StatusActionFactory
from pysoa.server.action.switched import SwitchedAction
from pysoa.server.errors import ActionError
from pysoa.server.logging import RecursivelyCensoredDictWrapper
from pysoa.server.settings import PolymorphicServerSettings

import warehouse

logger = logging.getLogger(__name__)

ITEMS = {
    10: {'_type': 'item', 'id': 10, 'name': 'tea', 'first_order_id': 1},
    20: {'_type': 'item', 'id': 20, 'name': 'sugar', 'first_order_id': 2},
}

FROM_THE_CELLAR = 5


class WarehouseSettings(PolymorphicServerSettings):
    schema = {'shelves': fields.Integer(gt=0)}
    defaults = {'shelves': 4}


class CountAction(Action):
    request_schema = fields.Dictionary({})

    def run(self, request):
        try:
            stock = request.client.call_action('stock', 'count', {}, continue_on_error=False)
        except MessageReceiveTimeout:
            raise ActionError(errors=[Error(code='NO_STOCK', message='The stock does not answer')])
        return {
            'count': stock.body['count'],
            'shelves': self.settings['shelves'],
            'audited_for': request.context['audited_for'],
            'shown': six.text_type(RecursivelyCensoredDictWrapper({'password': 'secret'})),
        }


class FailAction(Action):
    def run(self, request):
        response = warehouse.server_of_this_worker.response_to(ValueError('kaboom'))
        assert isinstance(response, JobResponse)
        return {'errors': len(response.errors)}


class GetItemsAction(Action):
    description = 'Items by their ids'
    request_schema = fields.Dictionary({'ids': fields.List(fields.Integer())})
    response_schema = fields.Dictionary({
        'items': fields.SchemalessDictionary(key_type=fields.Integer(), value_type=fields.SchemalessDictionary()),
    })

    def run(self, request):
        return {'items': {id_: dict(ITEMS[id_]) for id_ in request.body['ids'] if id_ in ITEMS}}


class ReserveAction(Action):
    request_schema = fields.Dictionary({'skus': fields.List(fields.UnicodeString(max_length=10), min_length=1)})
    response_schema = fields.Dictionary({
        'reserved': fields.List(fields.UnicodeString()),
        'audited_for': fields.UnicodeString(),
        'told_by': fields.UnicodeString(),
    })

    def validate(self, request):
        unknown = set(request.body['skus']) - {item['name'] for item in six.itervalues(ITEMS)}
        if unknown:
            raise ActionError([
                Error(code='NO_SUCH_ITEM', message='There is no {}'.format(name), field='skus')
                for name in sorted(unknown)
            ])

    def run(self, request):
        logger.info('reserving')
        return {
            'reserved': request.body['skus'],
            'audited_for': request.context['audited_for'],
            'told_by': request.context.get('told_by', 'nobody'),
        }


class OrdersAction(Action):
    def run(self, request):
        response = request.client.call_actions(
            'orders',
            [{'action': 'get_orders', 'body': {'ids': [3]}}, {'action': 'quote', 'body': {'cents': 100}}],
            switches=[7],
            timeout=10,
        )
        return {'answers': [action.body for action in response.actions]}


class ShelfAction(Action):
    def run(self, request):
        return {'place': 'shelf'}


class CellarAction(Action):
    def run(self, request):
        return {'place': 'cellar'}


class LocateAction(SwitchedAction):
    switch_to_action_map = (
        (FROM_THE_CELLAR, CellarAction),
        (6, FailAction),
        (0, ShelfAction),
    )


class StatusBase(BaseStatusAction):
    def check_shelves(self, request):
        self.diagnostics['shelves'] = self.settings['shelves']
        return [(False, 'SHELVES_FEW', 'There are few shelves')]


class WarehouseServer(Server):
    """Where things are."""

    service_name = 'warehouse'
    settings_class = WarehouseSettings
    action_class_map = {
        'count': CountAction,
        'fail': FailAction,
        'get_items': GetItemsAction,
        'locate': LocateAction,
        'orders': OrdersAction,
        'reserve': ReserveAction,
        'status': StatusActionFactory(warehouse.__version__, base_class=StatusBase),
    }

    def __init__(self, settings):
        super(WarehouseServer, self).__init__(settings)
        warehouse.server_of_this_worker = self
        self.names_of_middleware = [type(each).__name__ for each in self.middleware]

    def setup(self):
        super(WarehouseServer, self).setup()
        logger.info('the warehouse is open')

    def response_to(self, exception):
        return self.handle_job_exception(exception)

    def make_client(self, context):
        return Client(self.settings['client_routing'], context=context)

    @classmethod
    def main(cls):
        super(WarehouseServer, cls).main()
