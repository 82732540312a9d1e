"""The command line of services."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from pysoa.server import standalone
from pysoa.server.standalone import django_main, simple_main


def run_main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> mock.Mock:
    monkeypatch.setattr(sys, "argv", ["/path/to/standalone.py", *arguments])
    server_getter = mock.Mock()
    simple_main(server_getter)
    server_getter.assert_called_once_with()
    return server_getter.return_value  # type: ignore[no-any-return]


@pytest.mark.parametrize("arguments", [(), ("-f", "0"), ("--fork", "1"), ("-s", "some.settings", "--unknown", "x")])
def test_one_process_runs_the_server_right_here(monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
    server_class = run_main(monkeypatch, *arguments)

    server_class.main.assert_called_once_with()
    server_class.pre_fork.assert_not_called()


@pytest.mark.parametrize("flag", ["-f", "--fork", "--fork-processes"])
def test_several_processes_are_forked(monkeypatch: pytest.MonkeyPatch, flag: str) -> None:
    with mock.patch("multiprocessing.Process") as process:
        server_class = run_main(monkeypatch, flag, "2", "--no-respawn", "-s", "some.settings")

    assert process.call_args_list == [
        mock.call(target=server_class.main, name=f"pysoa-worker-{number}", args=(number,)) for number in (1, 2)
    ]
    server_class.main.assert_not_called()


def test_there_may_be_a_worker_for_each_core(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        mock.patch("multiprocessing.cpu_count", return_value=3),
        mock.patch("multiprocessing.Process") as process,
    ):
        run_main(monkeypatch, "--fork", "cpu", "--no-respawn")

    assert process.call_count == 3


@pytest.mark.parametrize(
    ("arguments", "modules", "forks"),
    [
        (["--use-file-watcher"], None, False),
        (["--use-file-watcher", "example", "-f", "1"], ["example"], False),
        (["-f", "2", "--use-file-watcher", " example, pysoa.common,,", "-s", "x"], ["example", "pysoa.common"], True),
    ],
)
def test_a_file_watcher_is_told_what_to_watch_and_what_to_run(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], modules: list[str] | None, forks: bool
) -> None:
    with (
        mock.patch("pysoa.server.autoreload.get_reloader") as get_reloader,
        mock.patch("pysoa.utils.get_python_interpreter_arguments", return_value=["python", "-m", "some.module"]),
    ):
        server_class = run_main(monkeypatch, *arguments)

    get_reloader.assert_called_once_with("some.module", modules, signal_forks=forks)
    server_class.main.assert_not_called()
    (function, given), keywords = get_reloader.return_value.main.call_args
    assert keywords == {}
    with mock.patch("multiprocessing.Process") as process, mock.patch("importlib.import_module"):
        given[0].no_respawn = True
        function(*given)
    assert process.call_count == (2 if forks else 0)
    assert server_class.main.call_count == (0 if forks else 1)


def test_a_program_that_was_not_started_by_module_has_no_main_module(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        mock.patch("pysoa.server.autoreload.get_reloader") as get_reloader,
        mock.patch("pysoa.utils.get_python_interpreter_arguments", return_value=["python", "-W", "error"]),
    ):
        run_main(monkeypatch, "--use-file-watcher")

    get_reloader.assert_called_once_with("", None, signal_forks=False)


@pytest.mark.parametrize("count", ["some", "1.5", ""])
def test_a_number_of_workers_that_is_none_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], count: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        run_main(monkeypatch, "--fork", count)

    assert caught.value.code == 2
    assert f"{count!r} is not a number of processes: it takes one, or cpu" in capsys.readouterr().err


def test_a_wrong_concurrency_is_refused_before_anything_is_forked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        run_main(monkeypatch, "--fork", "2", "--concurrency", "0")

    assert caught.value.code == 2
    assert "argument --concurrency: '0' is not a number of jobs" in capsys.readouterr().err


def test_the_help_tells_of_the_arguments_of_the_server_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        run_main(monkeypatch, "-h")

    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert "--settings MODULE" in shown
    assert "--concurrency N" in shown
    assert "1 for the blocking loop of 1.x" in " ".join(shown.split())


class TestDjangoMain:
    """What it does to Django is in ``test_django_setup``."""

    @pytest.fixture(autouse=True)
    def steps(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """What is done, in order."""
        steps: list[str] = []
        monkeypatch.setattr(
            "pysoa.server.internal.django_setup.set_up_django", lambda module: steps.append(f"set up {module}")
        )
        monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
        return steps

    @staticmethod
    def run(monkeypatch: pytest.MonkeyPatch, steps: list[str], *arguments: str) -> mock.Mock:
        monkeypatch.setattr(sys, "argv", ["/path/to/standalone.py", *arguments])
        server_class = mock.Mock()
        server_class.main.side_effect = lambda *_: steps.append("main")

        def get_server() -> mock.Mock:
            steps.append("server imported")
            return server_class

        django_main(get_server)
        return server_class

    @pytest.mark.parametrize(
        ("arguments", "variable", "expected"),
        [
            (("-s", "a.settings"), None, "a.settings"),
            (("--settings", "a.settings"), "b.settings", "a.settings"),
            ((), "b.settings", "b.settings"),
        ],
    )
    def test_django_is_set_up_before_the_server_is_imported(
        self,
        monkeypatch: pytest.MonkeyPatch,
        steps: list[str],
        arguments: tuple[str, ...],
        variable: str | None,
        expected: str,
    ) -> None:
        if variable is not None:
            monkeypatch.setenv("DJANGO_SETTINGS_MODULE", variable)

        self.run(monkeypatch, steps, *arguments, "--unknown", "-d")

        assert steps == [f"set up {expected}", "server imported", "main"]

    @pytest.mark.parametrize("value", [None, ""])
    def test_without_settings_there_is_nothing_to_run(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], steps: list[str], value: str | None
    ) -> None:
        if value is not None:
            monkeypatch.setenv("DJANGO_SETTINGS_MODULE", value)

        with pytest.raises(SystemExit) as caught:
            self.run(monkeypatch, steps)

        assert (caught.value.code, steps) == (2, [])
        assert "-s/--settings" in capsys.readouterr().err

    def test_workers_are_forked_as_by_simple_main(self, monkeypatch: pytest.MonkeyPatch, steps: list[str]) -> None:
        with mock.patch("multiprocessing.Process") as process:
            server_class = self.run(monkeypatch, steps, "-s", "a.settings", "-f", "2", "--no-respawn")

        assert process.call_count == 2
        server_class.pre_fork.assert_called_once_with()
        assert steps == ["set up a.settings", "server imported"]

    def test_the_help_says_where_the_settings_are_from(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], steps: list[str]
    ) -> None:
        with pytest.raises(SystemExit):
            self.run(monkeypatch, steps, "-h")

        shown = " ".join(capsys.readouterr().out.split())
        assert "the module with Django's settings (default: that of the environment variable DJANGO_SET" in shown
        assert "--concurrency N" in shown


class TestDoubleImportTrap:
    @pytest.fixture
    def package(self, tmp_path: Path) -> Path:
        package = tmp_path / "trapped_service"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "standalone.py").write_text("import pysoa.server.standalone\nprint('imported')\n")
        return package

    @staticmethod
    def run(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=30, check=False
        )

    def test_a_file_of_a_package_that_is_run_by_its_path_ends_with_99(self, package: Path) -> None:
        ended = self.run(package / "standalone.py", "-f", "2", cwd=package.parent)

        assert ended.returncode == 99
        assert ended.stdout.startswith("ERROR: You have triggered a double-import trap (see http://python-notes.")
        assert ended.stdout.rstrip().endswith(f"Debug information: {package} / ['{package}/standalone.py', '-f', '2']")

    @pytest.mark.parametrize(
        "arguments",
        [
            pytest.param(("-m", "trapped_service.standalone"), id="module"),
            pytest.param(("-Bmtrapped_service.standalone",), id="module and a flag in one"),
            pytest.param(("-c", "import trapped_service.standalone"), id="command"),
            pytest.param(("-P", "bin/start"), id="safe path"),
            pytest.param(("bin/start",), id="console script"),
            pytest.param(("Scripts/start",), id="console script on Windows"),
        ],
    )
    def test_ordinary_ways_to_start_are_no_trap(self, package: Path, arguments: tuple[str, ...]) -> None:
        for directory in ("bin", "Scripts"):
            (package.parent / directory).mkdir()
            (package.parent / directory / "start").write_text("import pysoa.server.standalone\nprint('imported')\n")

        ended = self.run(*arguments, cwd=package.parent)

        assert (ended.returncode, ended.stdout) == (0, "imported\n")

    def test_a_test_runner_that_is_started_by_its_path_is_no_trap(self, tmp_path: Path) -> None:
        (tmp_path / "runner.py").write_text("import pytest, pysoa.server.standalone\nprint('imported')\n")

        ended = self.run(tmp_path / "runner.py", cwd=tmp_path)

        assert ended.stdout == "imported\n"

    def test_the_arguments_of_the_interpreter_are_looked_up_where_tests_replace_them(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
        monkeypatch.delitem(sys.modules, "pytest")

        with mock.patch("pysoa.utils.get_python_interpreter_arguments", return_value=["python"]):
            by_path = standalone.is_double_import()
        with mock.patch("pysoa.utils.get_python_interpreter_arguments", return_value=["python", "-m", "x"]):
            by_module = standalone.is_double_import()

        assert (by_path, by_module) == (True, False)
