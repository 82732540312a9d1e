from __future__ import annotations

import subprocess
import sys

import pytest

from pysoa import server
from pysoa.server.server import Server


def test_the_server_can_be_had_by_the_names_of_old_readmes() -> None:
    class Service(server.BaseServer):
        service_name = "x"

    assert server.Server is Server
    assert issubclass(Service, Server)


def test_other_names_are_missing() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Servant'"):
        _ = server.Servant


def test_a_server_loads_nothing_that_it_may_not_need() -> None:
    unwanted = "asyncio multiprocessing redis pydantic conformity click rich email concurrent argparse django"
    program = f"import pysoa.server.server, sys; print([m for m in '{unwanted}'.split() if m in sys.modules])"

    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"
