from __future__ import absolute_import, unicode_literals

import pytest

from pysoa.client.client import Client
from pysoa.common.transport.errors import MessageReceiveTimeout
from pysoa.common.types import ActionResponse, Error, JobResponse
from pysoa.server.errors import ActionError
from pysoa.test.assertions import raises_error_codes, raises_only_field_errors
from pysoa.test.compatibility import mock
from pysoa.test.server import ServerTestCase, UnitTestServerTestCase
from pysoa.test.stub_service import stub_action

from trips.server import PlanTrip, Server


class TestPlanTrip(ServerTestCase):
    server_class = Server

    def setup_method(self):
        super(TestPlanTrip, self).setup_method()
        self.body = {'to': 'Bath', 'days': 2}

    @stub_action('weather', 'warnings')
    @stub_action('weather', 'forecast', body={'sunny': True})
    def test_sunny(self, stub_forecast, stub_warnings):
        stub_warnings.return_value = {'warnings': ['wind']}

        response = self.call_action('plan_trip', body=self.body)

        assert response.body == {'to': 'Bath', 'sunny': True, 'warnings': ['wind']}
        stub_forecast.assert_called_once_with({'place': 'Bath'})
        assert stub_forecast.call_body == {'place': 'Bath'}
        assert stub_warnings.call_bodies == ({'place': 'Bath'},)

    def test_errors_of_fields(self):
        self.assertActionRunsWithFieldErrors('plan_trip', {'days': 0}, {'to': 'MISSING', 'days': ['INVALID']})
        self.assertActionRunsWithOnlyFieldErrors('plan_trip', {}, {'to': {'MISSING'}})
        with raises_only_field_errors({'to': 'MISSING'}):
            self.call_action('plan_trip')

    @stub_action('weather', 'forecast', errors=[{'code': 'CLOUDY', 'message': 'Nothing is seen', 'field': 'place'}])
    @stub_action('weather', 'warnings')
    def test_no_forecast(self, stub_warnings, _stub_forecast):
        errors = self.assertActionRunsWithAndReturnErrors('plan_trip', self.body)
        assert [(e.code, e.message) for e in errors] == [('NO_FORECAST', 'Nothing is seen')]
        with raises_error_codes('NO_FORECAST', match='Nothing') as exc_info:
            self.call_action('plan_trip', self.body)
        assert exc_info.soa_errors == exc_info.value.actions[0].errors
        assert not stub_warnings.called

    @pytest.mark.parametrize('place', ('Bath', 'York'))
    @stub_action('weather', 'warnings', side_effect=lambda body: {'warnings': [body['place']]})
    @mock.patch.object(PlanTrip, 'validate')
    @stub_action('weather', 'forecast', body={'sunny': False})
    def test_mixed_with_mock(self, stub_forecast, mock_validate, stub_warnings, place):
        mock_validate.return_value = None
        assert self.call_action('plan_trip', {'to': place}).body['warnings'] == [place]
        assert stub_forecast.call_count == mock_validate.call_count == stub_warnings.call_count == 1

    def test_results_of_stubs(self):
        with stub_action('weather', 'warnings'), stub_action('weather', 'forecast') as stub_forecast:
            stub_forecast.side_effect = (
                MessageReceiveTimeout('Too slow'),
                JobResponse(errors=[Error('ODD', 'Odd')]),
                ActionError([Error('LOST', 'Lost')]),
                ActionResponse('forecast', body={'sunny': True}),
            )
            for code in ('SERVER_ERROR', 'SERVER_ERROR', 'NO_FORECAST'):
                self.assertActionRunsWithOnlyErrorCodes('plan_trip', self.body, code)
            assert self.call_action('plan_trip', self.body).body['sunny'] is True
        assert stub_forecast.call_count == 4

    def test_job_errors(self):
        with pytest.raises(self.client.JobError) as exc_info:
            self.call_action('cancel')
        assert exc_info.value.errors[0].code == 'CLOSED'
        with self.assertRaises(Client.CallJobError) as context:
            self.call_action('cancel')
        self.assertEqual(context.exception.errors[0].code, 'CLOSED')

    def test_server(self):
        with pytest.raises(Client.CallActionError):
            self.client.call_action('trips', 'plan_trip', {})
        server = self.client._get_handler(self.service_name).transport.server
        assert server._middleware[0].count == 1

    def test_helper(self):
        self._plan_with_stub()

    @stub_action('weather', 'warnings')
    @stub_action('weather', 'forecast', body={'sunny': True})
    def _plan_with_stub(self, *_stubs):
        assert self.call_action('plan_trip', self.body).body['sunny'] is True


class TestOldWays(ServerTestCase):
    server_class = Server
    server_settings = {}

    def setUp(self):
        self.stub = stub_action('weather', 'forecast', body={'sunny': True})
        self.stub_forecast = self.stub.start()
        self.addCleanup(self.stub.stop)

    def tearDown(self):
        self.assertEqual(1, self.stub_forecast.call_count)

    @stub_action('weather', 'warnings')
    def test_it(self, _stub_warnings):
        self.assertTrue(self.call_action('plan_trip', {'to': 'Bath'}).body['sunny'])
        with self.assertLogs('trips', 'WARNING') as logs:
            import logging
            logging.getLogger('trips').warning('Rain')
        self.assertEqual(['WARNING:trips:Rain'], logs.output)


@stub_action('weather', 'warnings')
@stub_action('weather', 'forecast', body={'sunny': True})
class TripCase(UnitTestServerTestCase):
    server_class = Server

    def setUp(self):
        super(TripCase, self).setUp()
        self.addCleanup(lambda: None)

    def test_it(self, stub_forecast, stub_warnings):
        self.assertTrue(self.call_action('plan_trip', {'to': 'Bath'}).body['sunny'])
        self.assertEqual(1, stub_forecast.call_count)
        self.assertEqual(1, stub_warnings.call_count)
