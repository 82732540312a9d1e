"""The reference of test plans names all that there is, and its examples can be read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pysoa.test.plan.grammar.data_types import get_all_data_type_names
from pysoa.test.plan.grammar.directives import BUILT_IN_DIRECTIVES
from pysoa.test.plan.parser import ServiceTestPlanFixtureParser
from tests.support.pages import Block, blocks_of

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "test-plans.md"
EXAMPLES = [block for block in blocks_of(REFERENCE) if block.language == "pysoa"]


def rows(title: str) -> list[list[str]]:
    """The cells of the first table below a title."""
    below = REFERENCE.read_text().partition(f"\n## {title}\n")[2]
    table = re.search(r"(?:^\|.*\|\n)+", below, re.MULTILINE)
    assert table is not None
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table[0].splitlines()[2:]]


def test_all_directives_are_listed_in_their_order() -> None:
    assert [row[0].strip("` ") for row in rows("Directives")] == [directive.name() for directive in BUILT_IN_DIRECTIVES]


def test_every_listed_line_is_that_of_its_directive() -> None:
    instead = {"A ": "a: ", "PATH": "p", "FIELD": "f", "CODE": "C", "NAME": "n", "TARGET": "t", "ATTRIBUTES": "b"}
    instead |= {"SERVICE": "s", "ACTION": "x", "JSON": "[[], {}]", "WHEN": "now", "VALUE": "1", "[T]": "int"}
    instead |= {" or job context": "", " or delete": "", "[": "", "]": ""}

    for (name, line), directive in zip(rows("Directives"), BUILT_IN_DIRECTIVES, strict=True):
        written = line.strip("` ")
        least = re.sub(r" ?\[[^\]]*\]", "", written)
        for text in (written, least):
            for before, after in instead.items():
                text = text.replace(before, after)  # noqa: PLW2901 - one word after the other
            pattern = directive.line()
            assert pattern is not None
            assert pattern.match(text.strip()) is not None, (name, text)


def test_all_data_types_are_listed() -> None:
    listed = [name.strip("` ") for row in rows("Data types") for name in row[0].split(",")]

    assert sorted(listed, key=str.lower) == get_all_data_type_names()


@pytest.mark.parametrize("block", EXAMPLES, ids=lambda block: f"line {block.line}")
def test_examples_can_be_read(block: Block, tmp_path: Path) -> None:
    head = "" if "test name" in block.text else "test name: a\ntest description: b\n"
    action = "" if re.search(r"^\w+(\.\d)?: (input|expect)", block.text, re.MULTILINE) else "f: expect: no errors\n"
    path = tmp_path / "x.pysoa"
    path.write_text(f"{head}{action}{block.text}")

    [case] = ServiceTestPlanFixtureParser(str(path), "x").parse_test_fixture()

    assert len(case["source"]) == len(path.read_text().splitlines())
