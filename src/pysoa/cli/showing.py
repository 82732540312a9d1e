"""What ``pysoa demo`` shows: two services as processes of their own, and calls of every kind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Final, NoReturn

from rich.text import Text

import pysoa
from pysoa.cli.bodies import json_of
from pysoa.cli.broker import Broker
from pysoa.cli.caller import client_settings, error_lines
from pysoa.cli.children import Child
from pysoa.cli.terminal import EXIT_ERRORS, Failure, screen
from pysoa.client.async_client import AsyncClient
from pysoa.client.client import Client
from pysoa.client.errors import CallActionError
from pysoa.common.errors import PySOAError
from pysoa.common.transport.errors import MessageReceiveTimeout
from pysoa.common.types import Body

__all__ = ("examples_folder", "show_demo")

_SERVICES: Final = {"example": "example_service", "flight_booking": "flight_booking"}
_START_LIMIT_IN_SECONDS: Final = 30.0
_MEASURED_SECONDS: Final = 1.0
_CALLS_AT_A_TIME: Final = 100

_NUMBER: Final[Body] = {"number": 42}
_JOURNEY: Final[Body] = {"departure_airport": "BNA", "arrival_airport": "SFO", "departure_date": "2018-07-15"}
_NO_JOURNEY: Final[Body] = {"departure_airport": "Nashville", "departure_date": "soon"}
_BOOKING: Final[Body] = {
    "flight": "PY101",
    "departure_date": "2018-07-15",
    "passengers": [{"name": "Ada", "baggage_in_kg": "23.5"}],
}


def examples_folder() -> Path:
    """Where the example services are: in the installed package, or beside its source.

    Raises:
        Failure: in neither.
    """
    package = Path(pysoa.__file__).resolve().parent
    for folder in (package / "examples", package.parents[1] / "examples"):
        if (folder / "example_service" / "server.py").exists():
            return folder
    raise Failure("the examples are not part of this installation", EXIT_ERRORS)


def show_demo(broker: Broker) -> None:
    """Run the example services on a broker, call them, and print what happens.

    Raises:
        Failure: a service does not start, or a call fails that should not.
    """
    shown = _Screen()
    shown.line(broker.line())
    began = time.monotonic()
    with _ended_by_signals(), contextlib.ExitStack() as stack:
        children = [stack.enter_context(child) for child in _start_services(broker)]
        client = stack.enter_context(Client({name: client_settings(broker.url) for name in _SERVICES}))
        for child in children:
            _wait_until_ready(client, child)
        started = ", ".join(f"{child.name} (process {child.pid})" for child in children)
        shown.line(f"services: {started}, ready after {time.monotonic() - began:.1f} s")
        try:
            _show_calls(client, shown)
            rate = asyncio.run(_measure_many(broker))
            shown.line(f"asyncio: {rate:,.0f} calls a second, {_CALLS_AT_A_TIME} at a time, over two connections")
        except PySOAError as error:
            logs = "\n".join(f"{child.name} said last:\n{child.last_words()}" for child in children)
            raise Failure(f"a call failed: {error}\n{logs}", EXIT_ERRORS) from error
    broker.stop()
    stopped = "both services and the broker" if broker.folder else "both services"
    shown.line(f"{stopped} have been stopped. Next: pysoa dev --help", gap=True)


def _start_services(broker: Broker) -> Iterator[Child]:
    folder = examples_folder()
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "REDIS_URL": broker.url, "PYTHONPATH": path}
    for name, package in _SERVICES.items():
        command = [sys.executable, "-m", f"{package}.standalone", "-s", f"{package}.settings"]
        command += ["--concurrency", str(_CALLS_AT_A_TIME)] if name == "example" else []
        yield Child(name, command, env=environment, cwd=folder)


def _wait_until_ready(client: Client, child: Child) -> None:
    """Wait for the answer to a first call, which waits in the queue until the service is there."""
    deadline = time.monotonic() + _START_LIMIT_IN_SECONDS
    first = client.call_action_future(child.name, "status", {"verbose": False}, timeout=_START_LIMIT_IN_SECONDS)
    while child.is_running() and time.monotonic() < deadline:
        with contextlib.suppress(MessageReceiveTimeout):
            first.result(timeout=0.25)
            return
    state = "did not answer" if child.is_running() else "ended"
    raise Failure(f"the service {child.name} {state}:\n{child.last_words()}", EXIT_ERRORS)


def _show_calls(client: Client, screen: _Screen) -> None:
    screen.heading("call one action")
    screen.request("example.square", _NUMBER)
    with screen.timed() as answer:
        answer(client.call_action("example", "square", _NUMBER).body)

    screen.heading("call a job: several actions, which one server runs in order")
    screen.request("example.square", {"number": 4})
    screen.request("example.status", {"verbose": False})
    with screen.timed() as answer:
        job = client.call_actions(
            "example", [{"action": "square", "body": {"number": 4}}, {"action": "status", "body": {"verbose": False}}]
        )
        answer(*(action.body for action in job.actions))

    screen.heading("call two services in parallel (prices are in cents)")
    screen.request("example.square", {"number": 1035})
    screen.request("flight_booking.get_available_flights", _JOURNEY)
    with screen.timed() as answer:
        square, flights = client.call_jobs_parallel(
            [
                {"service_name": "example", "actions": [{"action": "square", "body": {"number": 1035}}]},
                {"service_name": "flight_booking", "actions": [{"action": "get_available_flights", "body": _JOURNEY}]},
            ]
        )
        first_flight, *_ = flights.actions[0].body["out"]
        answer(square.actions[0].body, {"out": [first_flight, "..."], "back": flights.actions[0].body["back"]})

    screen.heading("send what does not fit: each wrong field is told")
    screen.request("flight_booking.get_available_flights", _NO_JOURNEY)
    try:
        client.call_action("flight_booking", "get_available_flights", _NO_JOURNEY)
    except CallActionError as error:
        screen.refusal(error_lines(error.actions[0].errors))

    screen.heading("call a service that calls another, for user ada; the context travels along")
    screen.request("example.call_service", {"service": "flight_booking", "action": "book_flight", "body": "..."})
    with screen.timed() as answer:
        nested = {"service": "flight_booking", "action": "book_flight", "body": _BOOKING}
        booked = client.call_action("example", "call_service", nested, context={"user": "ada"}).body["answer"]
        answer({key: booked[key] for key in ("flight", "baggage_in_kg", "price", "booked_by", "booked_through")})

    calls_a_second, median = _measure(client)
    screen.line(f"speed: {calls_a_second:,.0f} calls a second, one after the other; median {median:.2f} ms", gap=True)


def _measure(client: Client) -> tuple[float, float]:
    """Calls a second, and the median in milliseconds."""
    durations = []
    began = now = time.perf_counter()
    while now - began < _MEASURED_SECONDS:
        client.call_action("example", "square", _NUMBER)
        before, now = now, time.perf_counter()
        durations.append(now - before)
    return len(durations) / (now - began), statistics.median(durations) * 1000


async def _measure_many(broker: Broker) -> float:
    """Calls a second, with many under way at a time."""
    calls = 0

    async def call_in_turn() -> None:
        nonlocal calls
        while time.perf_counter() - began < _MEASURED_SECONDS:
            await client.call_action("example", "square", _NUMBER)
            calls += 1

    async with AsyncClient({"example": client_settings(broker.url)}) as client:
        began = time.perf_counter()
        await asyncio.gather(*(call_in_turn() for _ in range(_CALLS_AT_A_TIME)))
        return calls / (time.perf_counter() - began)


class _Screen:
    """Prints calls and answers, in colour on a terminal."""

    def __init__(self) -> None:
        self._console = screen()

    def line(self, text: str, *, gap: bool = False, style: str = "") -> None:
        """Print one line, after an empty one where there is to be a gap."""
        if gap:
            self._console.print()
        self._console.print(Text(text, style=style))

    def heading(self, text: str) -> None:
        """Say what comes next."""
        self.line(text, gap=True, style="bold")

    def request(self, action: str, body: Body) -> None:
        """Show what is called."""
        self.line(f"  {action} {json_of(body)}")

    @contextlib.contextmanager
    def timed(self) -> Iterator[Callable[..., None]]:
        """Take the time of the block; what it gives shows answers, with the time behind the last."""
        began = time.perf_counter()

        def answer(*bodies: Any) -> None:
            took = (time.perf_counter() - began) * 1000
            *others, last = (f"  -> {json_of(body)}" for body in bodies)
            for line in [*others, f"{last}  ({took:.1f} ms)"]:
                self.line(line, style="green")

        yield answer

    def refusal(self, lines: Iterable[str]) -> None:
        """Show errors."""
        for line in lines:
            self.line(f"  -> {line}", style="yellow")


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as an exception does, so that all is stopped."""

    def leave(signal_number: int, _frame: FrameType | None) -> NoReturn:
        sys.exit(128 + signal_number)

    previous = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
