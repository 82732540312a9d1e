"""A server transport that gives out what a test has prepared, and servers on it; no broker, no waiting."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import attr

from pysoa.common.fields import NO_KWARGS
from pysoa.common.plugins import accepts_kwargs
from pysoa.common.transport.base import ReceivedMessage, ServerTransport
from pysoa.common.transport.errors import MessageReceiveTimeout
from pysoa.common.types import Body
from pysoa.server.server import Server


@attr.s(auto_attribs=True)
class Sent:
    """A response as the server has sent it."""

    request_id: int
    meta: dict[str, Any]
    body: Body


@accepts_kwargs(NO_KWARGS)
class ScriptedServerTransport(ServerTransport):
    """Gives out requests from a list, and keeps responses in another.

    Attributes:
        script: what comes next: a job request, a whole message, an exception to raise, or a function to call, which
            gives back one of these or None for nothing.
        sent: the responses.
        send_errors: raised, one after another, by the next tries to send.
        when_empty: called when the script has ended; then nothing comes.
    """

    encodes_values = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.script: deque[Any] = deque()
        self.sent: list[Sent] = []
        self.send_errors: deque[BaseException] = deque()
        self.when_empty: Callable[[], object] = lambda: None
        self.calls: list[str] = []

    def receive_request_message(self) -> ReceivedMessage:
        if not self.script:
            self.when_empty()
            raise MessageReceiveTimeout("the script has ended")
        step = self.script.popleft()
        if callable(step):
            step = step()
        if step is None:
            raise MessageReceiveTimeout("nothing came")
        if isinstance(step, BaseException):
            raise step
        if isinstance(step, ReceivedMessage):
            return step
        return ReceivedMessage(31, {"client_version": [1, 4, 9], "reply_to": "service.x!1"}, step)

    def send_response_message(self, request_id: int, meta: dict[str, Any], body: Body) -> None:
        if self.send_errors:
            raise self.send_errors.popleft()
        self.sent.append(Sent(request_id, meta, body))

    def start_serving(self) -> None:
        self.calls.append("start_serving")

    def close(self) -> None:
        self.calls.append("close")


@accepts_kwargs(NO_KWARGS)
class DrainingServerTransport(ScriptedServerTransport):
    """As a transport that takes requests ahead: once it is stopped, it gives out only what is in ``taken``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.taken: deque[Any] = deque()

    def stop_taking(self) -> None:
        self.calls.append("stop_taking")
        self.script, self.taken = self.taken, deque()


def make_server(server_class: type[Server], *, draining: bool = False, **settings: Any) -> Any:
    """A server of the class on a scripted transport."""
    transport = "DrainingServerTransport" if draining else "ScriptedServerTransport"
    settings = {"transport": {"path": f"{__name__}:{transport}"}, **settings}
    return server_class(server_class.settings_class(settings))


def job(*actions: Any, control: Any = None, context: Any = None) -> Body:
    """A sound job request: actions are names, or dicts as they stand in a message."""
    return {
        "control": {"continue_on_error": False, "suppress_response": False, **(control or {})},
        "context": {"correlation_id": "corr-9", "switches": [], **(context or {})},
        "actions": [{"action": action, "body": {}} if isinstance(action, str) else action for action in actions],
    }


def answer(server: Any, request: Any) -> Body:
    """Have the server handle a request; the body of the response."""
    server.transport.script.append(request)
    server.handle_next_request()
    (sent,) = server.transport.sent
    server.transport.sent.clear()
    body: Body = sent.body
    return body


def run_script(server: Any, *script: Any) -> list[Body]:
    """Run the server's loop over a script, and then shut it down; the bodies of the responses."""

    def shut_down() -> None:
        server.shutting_down = True

    server.transport.script.extend(script)
    server.transport.when_empty = shut_down
    server.run()
    return [sent.body for sent in server.transport.sent]


def answer_in_loop(server_class: type[Server], request: Any, meta: Body | None = None, **settings: Any) -> Any:
    """Have a server handle a request in an event loop; the body of the response, None where there is none."""
    path = "pysoa.common.transport.local:LocalServerTransport"
    checked = server_class.settings_class({"transport": {"path": path}, "concurrency": 4, **settings})
    answers: list[Any] = []

    async def serve() -> None:
        server: Any = server_class(checked)
        engine = await server._process.start_engine()
        engine.transport.give[7] = answers.append
        try:
            await engine.handle(7, meta or {}, request)
        finally:
            await server._process.end_engine(engine)

    asyncio.run(serve())
    return answers[0].body if answers else None
