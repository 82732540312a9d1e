"""The tables of docs/reference/metrics.md are the table of metrics that the tests go by."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.recording import TABLE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "metrics.md"


def test_the_page_has_each_metric_with_its_kind_and_what_it_means() -> None:
    old, _, new = PAGE.read_text().partition("\n## New in PySOA 2\n")
    on_page = [
        (*row, since)
        for since, text in (("1", old), ("2", new))
        for row in re.findall(r"^\| `([^`]+)` \| (\w+) \| (.*) \|$", text, re.MULTILINE)
    ]

    in_table = [line.split("\t") for line in TABLE.read_text().splitlines()[1:]]
    assert sorted(on_page) == sorted((name, kind, when, since) for name, kind, since, when in in_table)
