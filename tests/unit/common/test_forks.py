from __future__ import annotations

import subprocess
import sys

import pytest

FORK = """
import os, sys
from pysoa.common.transport.errors import MessageReceiveError
from tests.support.client_transports import make_client, transport_of

client = make_client(transport={transport!r})
client.call_action("square", "a")
client.send_request("square", [{{"action": "a"}}])
future = client.call_action_future("square", "mine", {{"n": 1}})
client._building._lock.acquire()
parent = client.handlers["square"].request_counter
child = os.fork()
if child == 0:
    assert abs(client.handlers["square"].request_counter - parent) > 1000
    transport_of(client).arrived.clear()
    transport_of(client).outstanding = 0
    assert list(client.get_all_responses("square")) == []
    try:
        future.result()
        os._exit(1)
    except MessageReceiveError as error:
        assert "sent by the parent of this process" in str(error)
    assert client.call_action("square", "a", {{"n": 2}}).body == {{"n": 2}}
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert future.result().body == {{"n": 1}}
assert len(list(client.get_all_responses("square"))) == 1
print("fine")
"""


@pytest.mark.parametrize("transport", ["ScriptedTransport", "ListeningTransport"])
def test_a_child_process_takes_nothing_of_its_parent_and_can_call(transport: str) -> None:
    code = FORK.format(transport=transport)

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)

    assert run.stdout == "fine\n", run.stderr
