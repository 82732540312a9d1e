from __future__ import unicode_literals

from pysoa.server import Server
from pysoa.server.action import Action


class CountAction(Action):
    def run(self, request):
        return {'count': 12}


class StockServer(Server):
    service_name = 'stock'
    action_class_map = {'count': CountAction}
