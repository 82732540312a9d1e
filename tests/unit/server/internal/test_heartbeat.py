from __future__ import annotations

import os
from pathlib import Path

import pytest

from pysoa.server.internal.heartbeat import Heartbeat


class _Clock:
    now = 1_000_000.123456

    def __call__(self) -> float:
        return self.now


def test_the_file_has_the_time_and_is_rewritten_after_a_while(tmp_path: Path) -> None:
    clock = _Clock()
    heartbeat = Heartbeat(str(tmp_path / "beat"), clock=clock)
    heartbeat.start()
    assert (tmp_path / "beat").read_text() == "1000000.123456"

    clock.now = 1_000_002.0
    heartbeat.beat()
    assert (tmp_path / "beat").read_text() == "1000000.123456"

    clock.now = 1_000_003.5
    heartbeat.beat()
    assert (tmp_path / "beat").read_text() == "1000003.5"

    heartbeat.stop()


def test_the_file_is_rewritten_when_the_clock_was_set_back(tmp_path: Path) -> None:
    clock = _Clock()
    heartbeat = Heartbeat(str(tmp_path / "beat"), clock=clock)
    heartbeat.start()

    clock.now = 5.0
    heartbeat.beat()

    assert (tmp_path / "beat").read_text() == "5.0"
    heartbeat.stop()


@pytest.mark.parametrize(("number", "fork_id"), [(None, "main"), (3, "3")])
def test_the_path_may_name_the_process_and_the_worker(number: int | None, fork_id: str) -> None:
    assert Heartbeat("/run/{{pid}}-{{fid}}", number).path == f"/run/{os.getpid()}-{fork_id}"


def test_the_file_goes_with_the_server(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "pysoa.server")
    path = tmp_path / "beat"
    heartbeat = Heartbeat(str(path))
    heartbeat.start()

    heartbeat.stop()
    heartbeat.stop()
    heartbeat.beat()

    assert not path.exists()
    assert caplog.messages == [f"Creating heartbeat file {path}", "Closing and removing heartbeat file"]


def test_a_file_that_somebody_has_removed_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "beat"
    heartbeat = Heartbeat(str(path))
    heartbeat.start()
    path.unlink()

    heartbeat.stop()

    assert caplog.messages == [f"Cannot remove heartbeat file {path}: [Errno 2] No such file or directory: '{path}'"]


def test_a_disk_that_is_full_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = _Clock()
    heartbeat = Heartbeat(str(tmp_path / "beat"), clock=clock)
    heartbeat.start()

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        clock.now += 10
        heartbeat.beat()

    assert "Cannot write heartbeat file" in caplog.text
    heartbeat.stop()
