from __future__ import annotations

import pytest

from benchmarks.report import Figures, Shapes, Target, ratio, shapes_table, targets_table


def figures(**given: list[float]) -> Figures:
    names = ("rate", "p50", "p99", "client_cpu", "server_cpu", "broker_cpu")
    return {name: given.get(name, [1.0, 1.0, 1.0]) for name in names}


def shapes(**given: Figures) -> Shapes:
    return {"64 callers": dict(given)}


def test_a_ratio_is_the_median_of_the_rounds_and_not_the_ratio_of_the_medians() -> None:
    ours, floor = figures(rate=[10.0, 40.0, 20.0]), figures(rate=[20.0, 50.0, 100.0])

    assert ratio(ours, floor, "rate") == 0.5


@pytest.mark.parametrize(
    ("figure", "reached", "is_met"),
    [
        pytest.param("rate", 2.0, True, id="a rate has to reach its limit"),
        pytest.param("rate", 1.9, False, id="a rate below its limit"),
        pytest.param("p50", 2.0, True, id="a time has to stay within its limit"),
        pytest.param("p50", 2.1, False, id="a time above its limit"),
    ],
)
def test_a_target_is_met(figure: str, reached: float, is_met: bool) -> None:
    assert Target("64 callers", figure, 2.0).is_met(reached) is is_met


def test_a_target_without_a_divisor_takes_the_figure_itself() -> None:
    measured = shapes(PySOA=figures(server_cpu=[14.0, 15.0, 40.0]))

    assert Target("64 callers", "server_cpu", 22).reached(measured) == 15.0


def test_a_target_beside_a_peer_that_was_left_out_is_neither_met_nor_missed() -> None:
    lines = targets_table(shapes(PySOA=figures()), {})

    line = next(line for line in lines if line.startswith("64 callers: rate / nats"))
    assert line.endswith("left out")


def test_memory_that_grows_too_much_is_a_target_missed() -> None:
    lines = targets_table({}, {"client": 0.5, "server": 2.5})

    assert [line.split()[-1] for line in lines[-2:]] == ["met", "missed"]


def test_a_shape_has_a_row_for_each_entry_and_its_name_once() -> None:
    lines = shapes_table(shapes(floor=figures(rate=[200.0] * 3), PySOA=figures(rate=[90.0] * 3)))

    floor, ours = lines[1:]
    assert floor.startswith("64 callers")
    assert ours.split()[:3] == ["PySOA", "90", "0.45"]
