from __future__ import absolute_import, unicode_literals

from pysoa.common.types import Error
from pysoa.server.action import Action
from pysoa.server.errors import ActionError, JobError
from pysoa.server.server import Server as BaseServer


class PlanTrip(Action):
    """Plans a trip, and looks at the weather."""

    def validate(self, request):
        errors = []
        if not request.body.get('to'):
            errors.append(Error('MISSING', 'Missing key: to', field='to'))
        if request.body.get('days', 1) < 1:
            errors.append(Error('INVALID', 'Value not >= 1', field='days'))
        if errors:
            raise ActionError(errors=errors)

    def run(self, request):
        response = request.client.call_actions(
            'weather',
            [
                {'action': 'forecast', 'body': {'place': request.body['to']}},
                {'action': 'warnings', 'body': {'place': request.body['to']}},
            ],
            raise_action_errors=False,
        )
        forecast = response.actions[0]
        if forecast.errors:
            raise ActionError(errors=[Error('NO_FORECAST', forecast.errors[0].message)])
        return {
            'to': request.body['to'],
            'sunny': forecast.body['sunny'],
            'warnings': response.actions[1].body.get('warnings', []),
        }


class Cancel(Action):
    def run(self, request):
        raise JobError(errors=[Error('CLOSED', 'Nobody is here')])


class Server(BaseServer):
    service_name = 'trips'
    action_class_map = {
        'plan_trip': PlanTrip,
        'cancel': Cancel,
    }
