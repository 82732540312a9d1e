"""The applications in ``examples/web``, called in this process; the service that they call is one of its own."""

from __future__ import annotations

import asyncio
import importlib
import re
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pysoa.cli.broker import Broker
from tests.support.commands import EXAMPLES, wait_until_served
from tests.support.processes import Process, python
from tests.support.raw import command, wait_until

REQUESTS = 50
THREADS = 8
MOST_CONNECTIONS_OF_A_THREAD = 2  # the second is for asking whether anybody serves, when an answer takes its time
MOST_CONNECTIONS_OF_A_LOOP = 2  # the second is for requests that are sent while the first waits for answers

pytestmark = pytest.mark.usefixtures("service")


@pytest.fixture
def service(broker: Broker, start_process: Callable[..., Process]) -> Process:
    """The example service, with an asyncio loop."""
    options = ("-s", "example_service.settings", "--concurrency", "50")
    process = start_process(
        *python("-W", "error", "-m", "pysoa", "run", "example_service", *options),
        cwd=EXAMPLES,
        env={"REDIS_URL": broker.url},
    )
    wait_until_served(broker, "example")
    return process


@pytest.fixture
def load(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Imports an application; one framework that is not installed skips its tests alone."""

    def load(name: str) -> Any:
        pytest.importorskip(name.removesuffix("_app"), reason=f"{name.removesuffix('_app')} is not installed")
        monkeypatch.setenv("REDIS_URL", broker.url)  # the same in all tests of a process, as are the modules
        monkeypatch.syspath_prepend(EXAMPLES / "web")
        return importlib.import_module(name)

    return load


@pytest.fixture(scope="module")
def thread_of_django() -> None:
    """The thread in which Django runs what is plain within asynchronous requests; nothing ends it but the process."""
    asgiref_sync = pytest.importorskip("asgiref.sync", reason="django is not installed")
    asyncio.run(asgiref_sync.sync_to_async(lambda: None)())


def connections(broker: Broker, name: str) -> int:
    """How many connections of this name the broker has."""
    return len(re.findall(rb" name=%s " % name.encode(), command(broker.url, "CLIENT", "LIST")))


def in_threads(get: Callable[[str], Any], path: str) -> list[Any]:
    """What many requests bring that are sent by some threads at a time."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(get, [path.format(number) for number in range(REQUESTS)]))


async def in_tasks(get: Callable[[str], Awaitable[Any]], path: str) -> list[Any]:
    """What many requests bring that are sent at once."""
    return await asyncio.gather(*(get(path.format(number)) for number in range(REQUESTS)))


SQUARES = [{"square": number**2} for number in range(REQUESTS)]


def test_fastapi_has_two_connections_at_most_whatever_the_number_of_requests(
    broker: Broker, service: Process, load: Callable[[str], Any]
) -> None:
    httpx = pytest.importorskip("httpx", reason="httpx is not installed")
    app = load("fastapi_app").app

    async def run() -> tuple[list[Any], int, Any]:
        transport = httpx.ASGITransport(app)
        async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://a") as web:
            answers = await in_tasks(web.get, "/squares/{}")
            count = connections(broker, "fastapi_app")
            stop(service)
            return answers, count, await web.get("/squares/3")

    answers, count, without_service = asyncio.run(run())

    assert [answer.json() for answer in answers] == SQUARES
    assert 1 <= count <= MOST_CONNECTIONS_OF_A_LOOP
    assert (without_service.status_code, without_service.json()) == (503, {"error": "ServiceUnavailable"})
    wait_until(lambda: connections(broker, "fastapi_app") == 0, "the connections are closed with the application")


def test_flask_has_as_many_connections_as_its_threads_need(
    broker: Broker, service: Process, load: Callable[[str], Any]
) -> None:
    flask_app = load("flask_app")

    with flask_app.client:
        answers = in_threads(lambda path: flask_app.app.test_client().get(path), "/squares/{}")
        count = connections(broker, "flask_app")
        stop(service)
        without_service = flask_app.app.test_client().get("/squares/3")

    assert [answer.json for answer in answers] == SQUARES
    assert 1 <= count <= THREADS * MOST_CONNECTIONS_OF_A_THREAD
    assert (without_service.status_code, without_service.json) == (503, {"error": "ServiceUnavailable"})


def test_plain_views_of_django_have_as_many_connections_as_their_threads_need(
    broker: Broker, service: Process, load: Callable[[str], Any]
) -> None:
    django_app = load("django_app")
    from django.test import Client as WebClient

    with django_app.client:
        web = {"SERVER_NAME": "localhost"}
        answers = in_threads(lambda path: WebClient(**web).get(path), "/squares/{}")
        count = connections(broker, "django_app")
        stop(service)
        without_service = WebClient(**web).get("/squares/3")

    assert [answer.json() for answer in answers] == SQUARES
    assert 1 <= count <= THREADS * MOST_CONNECTIONS_OF_A_THREAD
    assert (without_service.status_code, without_service.json()) == (503, {"error": "ServiceUnavailable"})


@pytest.mark.usefixtures("thread_of_django")
def test_asynchronous_views_of_django_share_two_connections_at_most(
    broker: Broker, service: Process, load: Callable[[str], Any]
) -> None:
    django_app = load("django_app")
    from django.test import AsyncClient as WebClient

    async def run() -> tuple[list[Any], int, Any]:
        web = WebClient(headers={"host": "localhost"})
        async with django_app.async_client:
            answers = await in_tasks(web.get, "/async/squares/{}")
            count = connections(broker, "django_app")
            stop(service)
            return answers, count, await web.get("/async/squares/3")

    answers, count, without_service = asyncio.run(run())

    assert [answer.json() for answer in answers] == SQUARES
    assert 1 <= count <= MOST_CONNECTIONS_OF_A_LOOP
    assert (without_service.status_code, without_service.json()) == (503, {"error": "ServiceUnavailable"})


def stop(service: Process) -> None:
    """Stop the service, which says on the broker that it goes."""
    service.terminate()
    assert service.wait() == 0
