from __future__ import annotations

import asyncio
import threading

import pytest

from pysoa.common import compatibility


@pytest.fixture(params=["with contextvars", "without"])
def _variables(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "without":
        monkeypatch.setattr(compatibility, "contextvars", None)


@pytest.mark.usefixtures("_variables")
def test_a_variable_is_set_and_reset() -> None:
    variable = compatibility.ContextVar("v", default="first")
    assert variable.get() == "first"

    token = variable.set("second")
    inner = variable.set("third")
    assert variable.get() == "third"

    variable.reset(inner)
    assert variable.get() == "second"
    variable.reset(token)
    assert variable.get() == "first"


@pytest.mark.usefixtures("_variables")
def test_a_variable_without_a_default_must_be_set_first() -> None:
    variable: compatibility.ContextVar[int] = compatibility.ContextVar("v")

    with pytest.raises(LookupError):
        variable.get()


@pytest.mark.usefixtures("_variables")
def test_threads_do_not_see_each_others_values() -> None:
    variable = compatibility.ContextVar("v", default="unset")
    variable.set("mine")
    seen: list[str] = []
    thread = threading.Thread(target=lambda: seen.append(variable.get()))

    thread.start()
    thread.join(5)

    assert seen == ["unset"]


def test_the_running_loop_can_be_set() -> None:
    loop = asyncio.new_event_loop()
    try:
        compatibility.set_running_loop(loop)
        assert asyncio.get_running_loop() is loop
    finally:
        compatibility.set_running_loop(None)
        loop.close()
