"""What the supervisor decides; its processes are tested in tests/functional."""

from __future__ import annotations

import itertools
from unittest import mock

import pytest

from pysoa.server.internal.supervisor import Supervisor, pause_before_respawn, supervise


@pytest.mark.parametrize(
    ("ends_in_a_row", "pause"), [(1, 0.0), (2, 0.25), (3, 0.5), (4, 1.0), (5, 2.0), (6, 2.0), (999, 2.0)]
)
def test_pauses_grow_up_to_two_seconds(ends_in_a_row: int, pause: float) -> None:
    assert pause_before_respawn(ends_in_a_row) == pause


class FakeTime:
    """A clock that the life of fake processes moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def run_with_lives(lives_in_seconds: list[float], **options: object) -> list[float]:
    """Run one worker whose processes live so long, one after the other; give back when each was started."""
    clock = FakeTime()
    starts: list[float] = []

    class FakeProcess:
        def __init__(self, **_: object) -> None:
            self.exitcode = None

        def start(self) -> None:
            starts.append(clock.now)
            clock.now += lives_in_seconds[len(starts) - 1]
            self.exitcode = 1
            if len(starts) == len(lives_in_seconds):
                supervisor._respawn = False

        def join(self) -> None:
            pass

    def sleep(_: int, seconds: float | None) -> None:
        assert seconds is not None, "would sleep for ever"
        clock.now += seconds

    supervisor = Supervisor(lambda _: None, 1, clock=clock, **options)  # type: ignore[arg-type]
    with (
        mock.patch("multiprocessing.Process", FakeProcess),
        mock.patch("pysoa.server.internal.supervisor._sleep_until_signal", sleep),
    ):
        supervisor.run()
    return starts


def test_a_worker_that_ends_at_once_is_started_after_each_pause() -> None:
    starts = run_with_lives([0.0] * 8)

    assert [after - before for before, after in itertools.pairwise(starts)] == [0, 0.25, 0.5, 1, 2, 2, 2]


def test_half_a_minute_of_health_sets_the_pauses_back() -> None:
    starts = run_with_lives([0.0, 0.0, 0.0, 30.0, 0.0, 0.0])

    assert [after - before for before, after in itertools.pairwise(starts)] == [0, 0.25, 0.5, 30, 0.25]


def test_a_limit_counts_ends_without_health_between(capsys: pytest.CaptureFixture[str]) -> None:
    starts = run_with_lives([0.0, 31.0, 0.0, 0.0, 0.0, 0.0, 0.0], give_up_after=3)

    assert len(starts) == 4
    assert "Server process #1 has crashed too many times (3) in a row; not respawning." in capsys.readouterr().out


def test_a_process_that_cannot_be_had_is_tried_again(capsys: pytest.CaptureFixture[str]) -> None:
    process = mock.Mock(exitcode=0)
    process.start.side_effect = [OSError(11, "Resource temporarily unavailable"), None]

    with mock.patch("multiprocessing.Process", return_value=process):
        supervisor = Supervisor(lambda _: None, 1)
        process.join.side_effect = lambda: setattr(supervisor, "_respawn", False)
        supervisor.run()

    assert process.start.call_count == 2
    assert "Could not start server process #1: [Errno 11] Resource temporarily" in capsys.readouterr().out


def server_class() -> mock.Mock:
    return mock.Mock(spec_set=["main", "pre_fork"], main=lambda forked_process_id=None: None)


def test_workers_are_made_by_multiprocessing_as_the_first_pysoa_made_them() -> None:
    server = server_class()

    with mock.patch("multiprocessing.cpu_count", return_value=2), mock.patch("multiprocessing.Process") as process:
        supervise(server, 3, respawn=False)

    assert process.call_args_list == [
        mock.call(target=server.main, name=f"pysoa-worker-{number}", args=(number,)) for number in (1, 2, 3)
    ]
    assert process.return_value.start.call_count == 3
    server.pre_fork.assert_called_once_with()


def test_there_are_at_most_five_workers_for_each_core(capsys: pytest.CaptureFixture[str]) -> None:
    with mock.patch("multiprocessing.cpu_count", return_value=1), mock.patch("multiprocessing.Process") as process:
        supervise(server_class(), 6, respawn=False)

    assert process.call_count == 5
    assert capsys.readouterr().out == (
        "WARNING: Number of requested process forks (6) is greater than five times the number of CPU cores available "
        "(1 cores). Capping number of forks at 5.\n"
    )


def test_a_main_without_a_parameter_is_called_without_one() -> None:
    server = mock.Mock(spec_set=["main", "pre_fork"], main=lambda: None)

    with (
        mock.patch("multiprocessing.Process") as process,
        pytest.warns(DeprecationWarning, match="number of the worker"),
    ):
        supervise(server, 2, respawn=False)

    assert [call.kwargs["args"] for call in process.call_args_list] == [(), ()]


def test_signal_handlers_are_put_back() -> None:
    import signal

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)}

    with mock.patch("multiprocessing.Process"):
        supervise(server_class(), 2, respawn=False)

    assert {number: signal.getsignal(number) for number in before} == before
