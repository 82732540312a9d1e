"""How many requests a worker pops at once."""

from __future__ import annotations

import pytest

from pysoa.common.transport.redis_gateway.batches import BatchSize

LONG, SHORT = 0.0004, 0.00005


def sizes_after(*pops: tuple[int, float], limit: int = 32) -> list[int]:
    size = BatchSize(limit)
    most = []
    for pop in pops:
        size.came(*pop)
        most.append(size.most)
    return most


def test_limit_is_that_of_the_settings_at_first() -> None:
    assert BatchSize(20).most == 20


def test_third_large_batch_in_a_row_that_was_waited_for_halves_one_pop() -> None:
    assert sizes_after((32, LONG), (32, LONG), (32, LONG), (16, SHORT), (16, LONG)) == [32, 32, 16, 32, 32]
    assert sizes_after(*[(25, LONG)] * 3) == [32, 32, 12]


def test_halves_that_come_together_again_are_parted_again() -> None:
    assert sizes_after(*[(32, LONG)] * 7) == [32, 32, 16, 32, 32, 16, 32]


@pytest.mark.parametrize("between", [(32, SHORT), (19, LONG), (1, LONG)])
def test_batch_that_was_there_already_or_is_small_counts_from_the_start_again(between: tuple[int, float]) -> None:
    assert sizes_after((32, LONG), (32, LONG), between, (32, LONG), (32, LONG)) == [32] * 5


def test_small_limit_is_never_halved() -> None:
    assert sizes_after(*[(8, LONG)] * 9, limit=8) == [8] * 9
