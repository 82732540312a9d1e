from __future__ import absolute_import, unicode_literals

import os

from pysoa.common.types import Error
from pysoa.server.errors import ActionError
from pysoa.test.plan import ServicePlanTestCase

from trips.server import Server


class TestTripsByPlan(ServicePlanTestCase):
    server_class = Server
    fixture_path = os.path.join(os.path.dirname(__file__), 'plans')
    model_constants = {'places': [{'name': 'Bath'}, {'name': 'York'}]}

    def _process_stub_action_find_a_place(self, body):
        if body['number'] > 7:
            raise ActionError(errors=[Error('FAR', 'Too far away', field='number')])
        return {'place': {'name': 'Place {}'.format(body['number'])}}
