from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import pytest

from pysoa.server import Server
from pysoa.server.internal.command_line import detach
from pysoa.server.internal.upkeep import NO_UPKEEP
from tests.support.scripted import answer, job, make_server
from tests.support.services import EchoAction


class Plain(Server):
    service_name = "x"
    action_class_map = {"echo": EchoAction}


class WithinDjango(Plain):
    use_django = True


def test_a_server_outside_of_django_needs_none() -> None:
    assert make_server(Plain)._upkeep is NO_UPKEEP


def test_each_loop_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("django", reason="django is not installed")
    from pysoa.server.internal.async_django_upkeep import AsyncDjangoUpkeep
    from pysoa.server.internal.django_upkeep import DjangoUpkeep

    assert [type(make_server(WithinDjango, concurrency=number)._upkeep) for number in (1, 2)] == [
        DjangoUpkeep,
        AsyncDjangoUpkeep,
    ]


@pytest.mark.parametrize("missing", ["django", "asgiref"])
def test_a_server_whose_django_is_missing_works_all_the_same(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name in [name for name in sys.modules if name.startswith(f"{missing}.") or "internal.django" in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "pysoa.server.django.cache", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)

    server = make_server(WithinDjango)

    assert server._upkeep is NO_UPKEEP
    assert answer(server, job("echo"))["errors"] == []


def test_a_server_whose_django_is_not_set_up_works_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("django", reason="django is not installed")
    from django.conf import settings
    from django.utils.functional import empty

    server: Any = make_server(WithinDjango)
    configured, settings._wrapped = settings._wrapped, empty
    try:
        response = answer(server, job("echo"))
        server.perform_idle_actions()
        server._upkeep.end()
    finally:
        settings._wrapped = configured

    assert response["actions"][0]["errors"] == []
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_children_are_kept_from_connections_where_django_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("django.db", reason="django is not installed")
    name = "pysoa.server.internal.django_connections"
    importlib.import_module(name)  # so that it comes back after the test
    monkeypatch.setattr(os, "register_at_fork", lambda **_: None)  # it cannot be taken back
    monkeypatch.setattr(os, "fork", lambda: 0)

    monkeypatch.delitem(sys.modules, name, raising=False)

    with monkeypatch.context() as unused:
        unused.delitem(sys.modules, "django.db")
        detach()
    assert name not in sys.modules
    detach()
    assert name in sys.modules
