from __future__ import annotations

from xml.etree import ElementTree

import pytest

from benchmarks.picture import apart, picture, tick_step
from benchmarks.report import Shapes
from benchmarks.shapes import CALLERS, callers

SVG = "{http://www.w3.org/2000/svg}"


def shapes(*entries: str) -> Shapes:
    return {
        callers(number): {entry: {"rate": [100.0 * number * (place + 1)]} for place, entry in enumerate(entries)}
        for number in CALLERS
    }


def test_the_picture_is_well_formed_and_has_a_line_with_a_label_for_each_entry() -> None:
    root = ElementTree.fromstring(picture(shapes("floor", "PySOA", "nats", "grpc")))

    lines = [path for path in root.iter(f"{SVG}path") if path.get("class", "").startswith("line")]
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert len(lines) == 4
    assert {"PySOA 2", "concurrent callers", "calls a second"} <= set(texts)


def test_a_peer_that_was_left_out_has_no_line() -> None:
    text = picture(shapes("floor", "PySOA"))

    assert "PySOA 2" in text
    assert "NATS" not in text


def test_nothing_is_drawn_outside_the_picture() -> None:
    root = ElementTree.fromstring(picture(shapes("floor", "PySOA")))

    width, height = map(float, root.get("viewBox", "").split()[2:])
    for circle in root.iter(f"{SVG}circle"):
        assert 0 < float(circle.get("cx", "")) < width
        assert 0 < float(circle.get("cy", "")) < height


@pytest.mark.parametrize(("highest", "step"), [(69_000, 10_000), (9_999, 2_000), (100, 20), (3, 0.5)])
def test_ticks_are_round_and_few(highest: float, step: float) -> None:
    assert tick_step(highest) == pytest.approx(step)


def test_labels_that_would_overlap_are_moved_apart_in_their_order() -> None:
    assert apart([100.0, 50.0, 103.0], 16) == [100.0, 50.0, 116.0]
