"""``pysoa plan check``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import pysoa

GOOD = "test name: {}\ntest description: b\nf: input int: n: 7\nf: expect: no errors\n"


@pytest.fixture
def plans(tmp_path: Path) -> Path:
    for name, text in {
        "good.pysoa": f"{GOOD.format('a')}\n{GOOD.format('b')}",
        "sub/more.pysoa": f"{GOOD.format('a')}mock: a.b: c: exception errors_of_mine:Mine\nfreeze time: now\n",
        "sub/.hidden.pysoa": "x",
        "other.txt": "x",
    }.items():
        (tmp_path / "plans" / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / "plans" / name).write_text(text)
    (tmp_path / "errors_of_mine.py").write_text("class Mine(Exception):\n    pass\n")
    return tmp_path


def test_files_with_nothing_wrong_are_counted(plans: Path) -> None:
    every, one = pysoa("plan", "check", "plans", cwd=plans), pysoa("plan", "check", "plans/good.pysoa", cwd=plans)

    assert every == (0, "2 files, 3 test cases: nothing is wrong\n", "")
    assert one == (0, "1 file, 2 test cases: nothing is wrong\n", "")


def test_all_that_is_wrong_is_told_with_line_and_column(plans: Path) -> None:
    bad = "test name: a\ntest description: b\nf: input integer: n: 7\nf: input int: n: seven\nf: expect no errors\n"
    (plans / "plans" / "bad.pysoa").write_text(f"{bad}\ntest name: c\nf: expect: no errors\n\n{GOOD.format('a')}\n" * 2)
    (plans / "plans" / "empty.pysoa").write_text("# nothing\n")

    code, output, said = pysoa("plan", "check", "plans/bad.pysoa", "plans/empty.pysoa", "plans/good.pysoa", cwd=plans)

    assert (code, said) == (1, "10 errors in 3 files\n")
    assert output.startswith(
        "plans/bad.pysoa:3:10: expected a data type or ':'; did you mean 'int'?\n"
        "    f: input integer: n: 7\n             ^\n"
        "plans/bad.pysoa:4:22: invalid literal for int() with base 10: 'seven'\n"
        "    f: input int: n: seven\n                         ^\n"
        "plans/bad.pysoa:5:11: expected ':', a data type, 'any', 'none' or 'not present'\n"
        "    f: expect no errors\n              ^\n"
        "plans/bad.pysoa:8:20: Test case without description\n"
        "    f: expect: no errors\n                       ^\n"
        "plans/bad.pysoa:17:10: "
    )
    assert 'plans/bad.pysoa:24:12: Duplicate test name "a" in fixture "plans/bad.pysoa"\n' in output
    assert output.endswith("plans/empty.pysoa: Failed to find any test cases in file: plans/empty.pysoa\n")


def test_directives_of_a_module_are_known(plans: Path) -> None:
    (plans / "directives_of_mine.py").write_text(
        "import pyparsing\n"
        "from pysoa.test.plan.grammar.directive import ActionDirective, register_directive\n"
        "class Mine(ActionDirective):\n"
        "    name = classmethod(lambda cls: 'mine')\n"
        "    @classmethod\n"
        "    def get_full_grammar(cls):\n"
        "        return super().get_full_grammar() + pyparsing.Literal('mine')\n"
        "    def ingest_from_parsed_test_fixture(self, *args):\n"
        "        pass\n"
        "    assert_test_case_action_results = ingest_from_parsed_test_fixture\n"
        "register_directive(Mine)\n"
    )
    (plans / "plans" / "good.pysoa").write_text(f"{GOOD.format('a')}f: mine\n")

    without = pysoa("plan", "check", "plans/good.pysoa", cwd=plans)
    known = pysoa("plan", "check", "plans/good.pysoa", "--import", "directives_of_mine", cwd=plans)

    assert without.output.startswith("plans/good.pysoa:5:4: expected 'global', ")
    assert known == (0, "1 file, 1 test case: nothing is wrong\n", "")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "Missing argument 'FILES...'."),
        (("no.pysoa",), "Path 'no.pysoa' does not exist."),
        ((".",), "there is no file that ends in .pysoa in ."),
        (("other.txt", "--import", "no.such"), "cannot import no.such: No module named 'no'\n"),
    ],
)
def test_wrong_arguments_are_told_of(tmp_path: Path, arguments: tuple[str, ...], text: str) -> None:
    (tmp_path / "other.txt").write_text("")

    code, output, said = pysoa("plan", "check", *arguments, cwd=tmp_path)

    assert (code, output) == (2, "")
    assert text in said
