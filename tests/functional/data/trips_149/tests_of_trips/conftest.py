from __future__ import absolute_import, unicode_literals

import pytest

from trips.server import Server


@pytest.fixture(scope='session')
def server_class():
    return Server
