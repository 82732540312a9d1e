from __future__ import annotations

import pytest

from pysoa.common.transport.redis_gateway.commands import Queue, blocking_pop, is_queue_full, pop_more, push_back
from pysoa.common.transport.redis_gateway.connection import pack

KEY = b"pysoa:service.svc"


def test_commands_are_packed_as_the_protocol_of_redis_wants() -> None:
    assert pack(b"GET", b"key") == b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n"
    assert pack(b"SET", b"", b"\r\n") == b"*3\r\n$3\r\nSET\r\n$0\r\n\r\n$2\r\n\r\n\r\n"


@pytest.mark.parametrize("frames", [[b"one"], [b""], [b"one", b"two"], [b"x" * 70_000]])
def test_all_frames_of_a_message_are_pushed_by_one_command(frames: list[bytes]) -> None:
    queue = Queue(KEY, 60)

    packet = queue.push(frames, b"THEN")

    assert (packet if isinstance(packet, bytes) else b"".join(packet)) == pack(b"RPUSH", KEY, *frames) + b"THEN"


def test_a_large_frame_is_pushed_as_it_is_and_not_copied() -> None:
    frame = b"x" * 70_000

    packet = Queue(KEY, 60).push([frame], b"")

    assert any(piece is frame for piece in packet)


def test_the_life_is_set_in_whole_seconds() -> None:
    assert Queue(KEY, 60).expire == pack(b"EXPIRE", KEY, b"60")


def test_a_longer_life_is_kept_by_setting_one_only_where_there_is_none() -> None:
    queue = Queue(KEY, 3600, keeps_longer_life=True)
    assert queue.expire == pack(b"EXPIRE", KEY, b"3600", b"NX")

    queue.use_plain_expire()

    assert queue.expire == pack(b"EXPIRE", KEY, b"3600")
    assert not queue.keeps_longer_life


@pytest.mark.parametrize(
    ("capacity", "length", "age", "wanted"),
    [
        pytest.param(10_000, 0, 0.5, False, id="short and seen just now"),
        pytest.param(10_000, 5_000, 0.5, False, id="half full"),
        pytest.param(10_000, 5_001, 0.5, True, id="over half full"),
        pytest.param(10_000, 0, 1.1, True, id="not seen for a second"),
        pytest.param(99, 0, 0.0, True, id="small capacity"),
    ],
)
def test_the_capacity_is_checked_where_it_matters(capacity: int, length: int, age: float, wanted: bool) -> None:
    queue = Queue(KEY, 60)
    queue.saw_length(length, now=100.0)

    assert queue.wants_script(capacity, now=100.0 + age) is wanted


def test_a_queue_that_was_never_seen_wants_the_script() -> None:
    assert Queue(KEY, 60).wants_script(10_000, now=0.0)


def test_a_life_that_others_may_have_lengthened_is_lengthened_every_minute() -> None:
    queue = Queue(KEY, 3600, keeps_longer_life=True)
    queue.saw_length(1, now=100.0, by_script=True)

    assert not queue.wants_script(10_000, now=100.5)
    queue.saw_length(1, now=161.0)
    assert queue.wants_script(10_000, now=161.1)


@pytest.mark.parametrize(("seconds", "text"), [(5, b"5.000"), (0.25, b"0.250"), (0, b"0.001"), (-3, b"0.001")])
def test_a_pop_never_waits_for_ever(seconds: float, text: bytes) -> None:
    assert blocking_pop(KEY, seconds) == pack(b"BLPOP", KEY, text)


def test_what_is_put_back_keeps_its_order() -> None:
    assert push_back(KEY, [b"1", b"2", b"3"]) == pack(b"LPUSH", KEY, b"3", b"2", b"1")
    assert pop_more(KEY, 15) == pack(b"LPOP", KEY, b"15")


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("queue full", True),
        ("ERR queue full", True),
        ("queue full script: 0123, on @user_script:4.", True),
        ("OOM command not allowed", False),
    ],
)
def test_a_full_queue_is_told_from_other_errors(text: str, full: bool) -> None:
    assert is_queue_full(text) is full
