from __future__ import annotations

from typing import Any
from zlib import crc32

import pytest

from pysoa.common.protocol.queues import (
    is_reply_queue_of,
    queue_key,
    reply_queue_name,
    reply_suffix,
    request_queue_name,
    shard_index,
)

CLIENT = "0123456789abcdef0123456789abcdef"
THREAD = "7f00deadbeef"


def test_queues_have_the_names_of_the_protocol() -> None:
    assert queue_key(request_queue_name("vec")) == "pysoa:service.vec"
    assert reply_queue_name("vec", CLIENT, THREAD) == "service.vec.0123456789abcdef0123456789abcdef!7f00deadbeef"


@pytest.mark.parametrize("ring_size", [1, 2, 3, 5, 7])
def test_each_key_has_a_shard_by_its_hash(ring_size: int) -> None:
    keys = [f"pysoa:service.vec.{number}!1" for number in range(500)]

    shards = [shard_index(key, ring_size) for key in keys]

    assert set(shards) == set(range(ring_size))
    assert shards == [int((crc32(key.encode()) & 0xFFF) / (4096.0 / ring_size)) for key in keys]


def test_shards_are_those_of_older_peers() -> None:
    key = "pysoa:service.vec.0123456789abcdef0123456789abcdef!7f00deadbeef"

    assert crc32(key.encode()) & 0xFFF == 631
    assert [shard_index(key, ring_size) for ring_size in (1, 6, 7, 16)] == [0, 0, 1, 2]


def test_with_one_master_the_suffix_is_the_thread() -> None:
    assert reply_suffix("vec", CLIENT, THREAD, 0, 1) == THREAD


@pytest.mark.parametrize("ring_size", [2, 3, 8])
def test_a_suffix_can_be_had_for_each_shard(ring_size: int) -> None:
    suffixes = [reply_suffix("vec", CLIENT, THREAD, shard, ring_size) for shard in range(ring_size)]

    for shard, suffix in enumerate(suffixes):
        assert shard_index(queue_key(reply_queue_name("vec", CLIENT, suffix)), ring_size) == shard
        assert suffix.startswith(THREAD)
        int(suffix, 16)
    assert suffixes.count(THREAD) == 1


@pytest.mark.parametrize("shard", [-1, 2])
def test_a_shard_must_exist(shard: int) -> None:
    with pytest.raises(ValueError, match="there is no shard"):
        reply_suffix("vec", CLIENT, THREAD, shard, 2)


@pytest.mark.parametrize(
    "reply_to",
    [
        reply_queue_name("vec", CLIENT, THREAD),
        "service.vec.client!1",
        "service.vec.!",
        "service.vec.a!{pysoa:service.vec}1",
    ],
)
def test_reply_queues_of_the_service_may_be_written_to(reply_to: str) -> None:
    assert is_reply_queue_of("vec", reply_to)


@pytest.mark.parametrize(
    "reply_to",
    [
        pytest.param(None, id="none"),
        pytest.param(5, id="a number"),
        pytest.param(b"service.vec.client!1", id="bytes"),
        pytest.param(["service.vec.client!1"], id="a list"),
        pytest.param("", id="empty"),
        pytest.param("service.vec", id="its request queue"),
        pytest.param("service.vec.client", id="no mark"),
        pytest.param("service.other.client!1", id="another service"),
        pytest.param("service.vec2.client!1", id="another service that begins alike"),
        pytest.param("service.vec!1", id="nothing before the mark"),
        pytest.param("pysoa:service.vec.client!1", id="with the prefix"),
        pytest.param("service.vec.client!1\n", id="newline"),
        pytest.param("service.vec.cli\x1bent!1", id="escape"),
        pytest.param("service.vec.cli\x00ent!1", id="zero byte"),
        pytest.param("service.vec.\ud800!1", id="lone surrogate"),
        pytest.param("service.vec." + "x" * 600 + "!1", id="too long"),
    ],
)
def test_nothing_else_may_be_written_to(reply_to: Any) -> None:
    assert not is_reply_queue_of("vec", reply_to)
