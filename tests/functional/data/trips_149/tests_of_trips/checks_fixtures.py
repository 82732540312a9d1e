from __future__ import absolute_import, unicode_literals

import pytest

from pysoa.common.transport.local import LocalServerTransport
from pysoa.server.server import Server as BaseServer
from pysoa.server.types import EnrichedActionRequest
from pysoa.test.assertions import raises_error_codes, raises_field_errors
from pysoa.test.factories import ActionFactory, ServerFactory, ServerSettingsFactory
from pysoa.test.stub_service import (
    StubClient,
    get_stubbed_requests,
    get_stubbed_responses,
    stub_action,
)

from trips.server import Server


class TripsServerFactory(ServerFactory):
    class Meta:
        model = Server


def test_service_client(service_client, action_stubber):
    stub_forecast = action_stubber('weather', 'forecast', body={'sunny': True})
    action_stubber('weather', 'warnings', side_effect=[{'warnings': ['ice']}])

    response = service_client.call_action('plan_trip', body={'to': 'Bath'})

    assert response.body == {'to': 'Bath', 'sunny': True, 'warnings': ['ice']}
    stub_forecast.assert_called_once_with({'place': 'Bath'})
    assert get_stubbed_requests()[-2:] == [
        {'service': 'weather', 'action': 'forecast', 'body': {'place': 'Bath'}},
        {'service': 'weather', 'action': 'warnings', 'body': {'place': 'Bath'}},
    ]
    assert get_stubbed_responses()[-1] == {'service': 'weather', 'action': 'warnings', 'body': {'warnings': ['ice']}}


def test_errors(service_client, action_stubber):
    action_stubber('weather', 'forecast', errors=[{'code': 'CLOUDY', 'message': 'Nothing is seen'}])
    action_stubber('weather', 'warnings')
    with raises_error_codes(['NO_FORECAST'], only=True):
        service_client.call_action('plan_trip', {'to': 'Bath'})
    with raises_field_errors({'to': 'MISSING'}):
        service_client.call_action('plan_trip', {})


def test_stub_client():
    client = StubClient(service_action_map={'weather': {'forecast': {'body': {'sunny': False}}}})
    client.stub_action('weather', 'warnings', errors=[{'code': 'LOST', 'message': 'Lost'}])

    assert client.call_action('weather', 'forecast').body == {'sunny': False}
    with pytest.raises(client.CallActionError) as exc_info:
        client.call_action('weather', 'warnings')
    assert exc_info.value.actions[0].errors[0].code == 'LOST'


def test_factories():
    server = TripsServerFactory(settings=ServerSettingsFactory(data={'middleware': []}))
    assert isinstance(server, BaseServer)
    assert isinstance(server.transport, LocalServerTransport)
    action = ActionFactory(body={'a': 1})(server.settings)
    assert action(EnrichedActionRequest(action='x', body={}, switches=[])).body == {'a': 1}
    with pytest.raises(ZeroDivisionError):
        ActionFactory(exception=ZeroDivisionError())(server.settings)(EnrichedActionRequest(action='x', body={}))


@stub_action('weather', 'forecast', body={'sunny': True})
def test_function(stub_forecast, service_client):
    with stub_action('weather', 'warnings'):
        assert service_client.call_action('plan_trip', {'to': 'Bath'}).body['sunny']
    assert stub_forecast.called
