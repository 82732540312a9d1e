from __future__ import annotations

from pysoa.common.clock import monotonic
from pysoa.server.internal.notes import JobLeftBehind, JobNotes


def left_behind(notes: JobNotes, jobs: int = 1) -> list[tuple[bytes, int]]:
    return [(job.request, job.actions_begun) for job in notes.take_over(jobs)]


def test_jobs_under_way_are_found_by_the_next_worker_with_the_number_of_their_actions() -> None:
    notes = JobNotes()
    assert notes.take_over(3) == []
    first = notes.begin(b"first", monotonic() - 7)
    second = notes.begin(b"second, which is longer", monotonic())
    third = notes.begin(b"third", monotonic())
    notes.next_action(second)
    notes.next_action(second)
    notes.end(third)
    notes.worker_has_died()

    left = notes.take_over(1)

    by_request = {job.request: job for job in left}
    assert set(by_request) == {b"first", b"second, which is longer"}
    assert by_request[b"first"].actions_begun == 0
    assert 7 <= by_request[b"first"].ran_for_seconds < 60
    assert by_request[b"second, which is longer"].actions_begun == 2
    assert isinstance(left[0], JobLeftBehind)
    assert first != second
    assert notes.take_over(1) == []


def test_a_note_that_was_taken_back_makes_room_for_another() -> None:
    notes = JobNotes()
    notes.take_over(1)
    note = notes.begin(b"a long request", monotonic())
    assert notes.begin(b"no room", monotonic()) == 0
    notes.next_action(note)
    notes.end(note)

    assert notes.begin(b"short", monotonic()) == note

    assert left_behind(notes) == [(b"short", 0)]


def test_what_cannot_be_noted_is_left_out() -> None:
    notes = JobNotes()
    notes.take_over(1000)
    assert notes.begin(None, monotonic()) == 0
    assert notes.begin(b"x" * 100_000, monotonic()) == 0
    notes.next_action(0)
    notes.end(0)

    assert left_behind(notes, jobs=10_000_000) == []

    assert notes.begin(b"", monotonic()) == 0
    assert left_behind(notes) == []
