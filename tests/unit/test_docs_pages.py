"""Pages hang together: links lead somewhere, and each page can be found from the index."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.support.pages import blocks_of, broken_links, is_like, links_of

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert broken_links(page) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_table_has_as_many_columns_in_each_row(page: Path) -> None:
    tables = re.findall(r"(?:^\|.*\|\n)+", page.read_text(), re.MULTILINE)

    for table in tables:
        columns = {len(re.sub(r"`[^`]*`", "", row).split("|")) for row in table.splitlines()}
        assert len(columns) == 1, table


def test_every_difference_from_the_first_pysoa_has_a_reason() -> None:
    rows = re.findall(r"^\| (.*) \|$", (DOCS / "reference" / "deviations.md").read_text(), re.MULTILINE)

    assert len(rows) > 50
    assert [row for row in rows if not all(cell.strip() for cell in re.sub(r"`[^`]*`", "x", row).split(" | "))] == []


def test_every_page_of_the_docs_is_found_from_the_index() -> None:
    found: set[Path] = set()
    to_read = [DOCS / "index.md"]
    while to_read:
        page = to_read.pop()
        if page not in found and page.suffix == ".md" and DOCS in page.parents:
            found.add(page)
            to_read += [Path(os.path.normpath(page.parent / link.partition("#")[0])) for link in links_of(page)]

    assert set(DOCS.rglob("*.md")) - found == set()


def test_the_applications_on_the_page_are_those_that_are_tested() -> None:
    blocks = [block for block in blocks_of(DOCS / "howto" / "call-from-web-frameworks.md") if block.file_name]

    assert [block.file_name for block in blocks] == ["fastapi_app.py", "django_app.py", "flask_app.py"]
    for block in blocks:
        application = ROOT / "examples" / "web" / str(block.file_name)
        assert block.text.partition("\n")[2] in application.read_text()


@pytest.mark.parametrize(
    ("shown", "actual", "expected"),
    [
        pytest.param("49\n", "49\n", True, id="the same"),
        pytest.param("49\n", "50\n", False, id="another"),
        pytest.param("in ... ms\n", "in 0.4 ms\n", True, id="any text"),
        pytest.param("in ... ms\n", "in 0.4 s\n", False, id="not any text"),
        pytest.param("...\nend\n", "a\nb\nend\n", True, id="any lines"),
        pytest.param("...\nend\n", "a\nb\nend\nmore\n", False, id="lines after the end"),
        pytest.param("a.b\n", "axb\n", False, id="no patterns"),
    ],
)
def test_output_is_compared_with_what_a_page_shows(shown: str, actual: str, expected: bool) -> None:
    assert is_like(shown, actual) is expected


def test_a_block_has_its_language_and_the_line_where_it_begins(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Text.\n\n```python\n# a.py\nx = 1\n```\n\n```text\n1\n```\n")

    code, output = blocks_of(page)

    assert (code.language, code.text, code.line, code.file_name) == ("python", "# a.py\nx = 1\n", 3, "a.py")
    assert (output.language, output.text, output.line, output.file_name) == ("text", "1\n", 8, None)


def test_links_to_missing_files_and_headings_are_broken(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A heading!\n[a](#a-heading) [b](#b) [c](c.md) [d](https://example.com) [e](page.md#a-heading)\n")

    assert broken_links(page) == ["#b", "c.md"]
