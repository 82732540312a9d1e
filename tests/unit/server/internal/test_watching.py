from __future__ import annotations

import os
import py_compile
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from pysoa.server.internal.watching import WatchedFiles, files_of, process_began


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """The files of two imported modules, written a minute ago."""
    paths = {}
    for name in ("watched_one", "watched_other.inner"):
        path = tmp_path / f"{name}.py"
        path.write_text("x = 1\n")
        os.utime(path, (time.time() - 60, time.time() - 60))
        module = ModuleType(name)
        module.__file__ = str(path)
        monkeypatch.setitem(sys.modules, name, module)
        paths[name] = path
    return paths


def names(paths: list[str]) -> list[str]:
    return sorted(Path(path).stem for path in paths)


def test_files_that_change_after_they_were_seen_have_changed_once(modules: dict[str, Path]) -> None:
    files = WatchedFiles("", ["watched"], time.time() - 10)
    assert files.changed() == []

    modules["watched_one"].write_text("x = 22\n")

    assert names(files.changed()) == ["watched_one"]
    assert files.changed() == []


def test_a_change_within_a_second_to_as_many_bytes_is_compiled_anew(modules: dict[str, Path]) -> None:
    source = modules["watched_one"]
    compiled = Path(py_compile.compile(str(source), doraise=True) or "")
    files = WatchedFiles("", ["watched"], time.time() - 10)
    files.changed()
    stayed = compiled.exists()
    second = int(source.stat().st_mtime)
    source.write_text("x = 2\n")
    os.utime(source, (second + 0.9, second + 0.9))

    assert names(files.changed()) == ["watched_one"]
    assert (stayed, compiled.exists()) == (True, False)


def test_what_changed_after_the_process_began_may_have_been_read_before_and_counts(modules: dict[str, Path]) -> None:
    began = time.time() - 10
    for name, age in {"watched_one": 5, "watched_other.inner": -3600}.items():  # the latter is from the future
        os.utime(modules[name], (time.time() - age, time.time() - age))
    files = WatchedFiles("", ["watched"], began)

    assert names(files.changed()) == ["watched_one"]


def test_what_is_imported_later_counts_from_the_look_before(
    modules: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    late, later = ModuleType("watched_late"), ModuleType("watched_later")
    late.__file__, later.__file__ = map(str, modules.values())
    monkeypatch.delitem(sys.modules, "watched_one")
    monkeypatch.delitem(sys.modules, "watched_other.inner")
    files = WatchedFiles("", ["watched"], 0.0)
    modules["watched_one"].write_text("x = 22\n")
    assert files.changed() == []
    modules["watched_other.inner"].write_text("x = 22\n")

    monkeypatch.setitem(sys.modules, "watched_late", late)
    monkeypatch.setitem(sys.modules, "watched_later", later)

    assert names(files.changed()) in (["watched_other.inner"], ["watched_one", "watched_other.inner"])


def test_a_file_that_is_not_there_for_a_moment_has_changed_when_it_is_back(modules: dict[str, Path]) -> None:
    files = WatchedFiles("", ["watched"], time.time() - 10)
    files.changed()

    modules["watched_one"].unlink()
    assert files.changed() == []
    modules["watched_one"].write_text("x = 333\n")

    assert names(files.changed()) == ["watched_one"]


@pytest.mark.parametrize(
    ("prefixes", "expected"),
    [
        (["watched_one"], ["watched_one"]),
        (["watched_other.inn"], ["watched_other.inner"]),
        (["watched_o"], ["watched_one", "watched_other.inner"]),
        (["atched", "watched.one"], []),
        ([], []),
    ],
)
def test_modules_are_chosen_by_how_their_names_begin(
    modules: dict[str, Path], prefixes: list[str], expected: list[str]
) -> None:
    assert names(list(WatchedFiles("", prefixes, 0.0).paths())) == expected


def test_without_a_choice_all_modules_are_watched(modules: dict[str, Path]) -> None:
    paths = WatchedFiles("", None, 0.0).paths()

    assert {*map(str, modules.values()), os.__file__, __file__} <= paths


def test_the_main_module_has_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    main = ModuleType("__main__")
    main.__file__ = "/service/standalone.pyc"
    monkeypatch.setitem(sys.modules, "__main__", main)

    assert WatchedFiles("service.standalone", ["service"], 0.0).paths() == {"/service/standalone.py"}


def test_an_exception_has_to_do_with_the_files_of_its_causes() -> None:
    try:
        try:
            compile("x = = 1", "/broken.py", "exec")
        except SyntaxError as error:
            raise ValueError("cannot start") from error
    except ValueError as error:
        files = set(files_of(error))

    assert files == {"/broken.py", __file__}


def test_this_process_began_some_time_ago() -> None:
    assert time.time() - 3600 < process_began() < time.time()
