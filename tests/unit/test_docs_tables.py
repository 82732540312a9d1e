"""The pages on metrics and logs have the tables that the tests go by."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.recording import LINES, METRICS, rows_of

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"


def test_a_page_has_each_metric_with_its_kind_and_what_it_means() -> None:
    old, _, new = (REFERENCE / "metrics.md").read_text().partition("\n## New in PySOA 2\n")
    on_page = [
        (*row, since)
        for since, text in (("1", old), ("2", new))
        for row in re.findall(r"^\| `([^`]+)` \| (\w+) \| (.*) \|$", text, re.MULTILINE)
    ]

    assert sorted(on_page) == sorted((name, kind, when, since) for name, kind, since, when in rows_of(METRICS))


def test_a_page_has_each_line_with_its_logger_and_level() -> None:
    text = (REFERENCE / "logs.md").read_text().partition("\n## Lines\n")[2]

    on_page = re.findall(r"^\| `([^`]+)` \| (\w+) \| `([^`]+)` \| (.*) \|$", text, re.MULTILINE)
    assert on_page == [tuple(row) for row in rows_of(LINES)]
