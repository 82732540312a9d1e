"""Runs what pages of documentation show: their code, their commands, and the output of both.

A page is run from top to bottom in one folder and, for its Python, in one process:

* ``python``: a block whose first line is a comment with the name of a file becomes that file; others are run.
* ``pysoa``: likewise becomes a file of test plans; others are only read.
* ``text``: what the block before it prints.
* ``console``: commands after ``$``, and what they print. ``...`` stands for any text, or alone for any lines.
* ``sh``: commands of which no output is shown. Those that run a service do so until the end of the page.

Other blocks are not run.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from tests.support.processes import ROOT, Process

_FENCE = re.compile(r"^```(\w*)\s*$")
_FILE_NAME = re.compile(r"^# ([\w/]+\.(?:py|pysoa))$")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_SERVES = re.compile(r"^(pysoa (dev|run) |python -m [\w.]+ .*(-s|--settings) )")
_LIMIT_IN_SECONDS = 60

_DRIVER = """
import contextlib, io, json, sys, traceback
namespace = {"__name__": "page"}
for line in sys.stdin:
    block = json.loads(line)
    output = io.StringIO()
    failure = None
    with contextlib.redirect_stdout(output):
        try:
            exec(compile("\\n" * block["line"] + block["code"], block["page"], "exec"), namespace)
        except BaseException:
            failure = traceback.format_exc()
    print(json.dumps({"output": output.getvalue(), "failure": failure}), flush=True)
"""


class Block(NamedTuple):
    """A fenced block of a page, and the line of the page that its fence stands in."""

    language: str
    text: str
    line: int

    @property
    def first_line(self) -> str:
        return self.text.partition("\n")[0]

    @property
    def file_name(self) -> str | None:
        """The name of the file that the block is, if it is one."""
        match = _FILE_NAME.match(self.first_line) if self.language in ("python", "pysoa") else None
        return match[1] if match else None


def blocks_of(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    blocks: list[Block] = []
    language: str | None = None
    lines: list[str] = []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = _FENCE.match(line)
        if fence is None:
            lines.append(line)
        elif language is None:
            language, lines, began = fence[1], [], number
        else:
            blocks.append(Block(language, "\n".join(lines) + "\n", began))
            language = None
    assert language is None, f"{page}: the block of line {began} has no end"
    return blocks


def prose_of(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def links_of(page: Path) -> list[str]:
    """The links of a page to files and headings of the repository."""
    return [link for link in _LINK.findall(prose_of(page)) if not re.match(r"[a-z]+:", link)]


def broken_links(page: Path) -> list[str]:
    """Those of them that lead nowhere."""
    broken = []
    for link in links_of(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    return broken


def _anchors(page: Path) -> set[str]:
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in _HEADING.findall(prose_of(page))}


def is_like(shown: str, actual: str) -> bool:
    """Whether output is what a page shows, where ``...`` stands for anything."""
    parts = re.split(r"(^\.\.\.\n|\.\.\.)", shown.rstrip("\n") + "\n", flags=re.MULTILINE)
    wild = {"...\n": "(?:.*\n)*", "...": ".*"}
    pattern = "".join(wild.get(part) or re.escape(part) for part in parts)
    return re.fullmatch(pattern, actual.rstrip("\n") + "\n") is not None


class PageRun:
    """One page being run.

    Args:
        page: the page.
        folder: where its files and commands are.
        broker_url: becomes ``REDIS_URL``.
        start_process: starts what goes on until the end of the page.
        not_run: first lines of blocks and commands that are not run, and why.
        run_instead: what is run in place of a command.

    As a context manager it ends its Python process at the end of the block.
    """

    def __init__(
        self,
        page: Path,
        folder: Path,
        broker_url: str,
        start_process: Callable[..., Process],
        not_run: Mapping[str, str],
        run_instead: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._page = page
        self._folder = folder
        self._start_process = start_process
        self._not_run = not_run
        self._run_instead = run_instead
        self._environment = {
            **os.environ,
            "REDIS_URL": broker_url,
            "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT / "examples")]),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "COLUMNS": "200",
            "NO_COLOR": "1",
        }
        self._session = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", _DRIVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=self._environment,
        )

    def __enter__(self) -> PageRun:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """End the page's process."""
        self._session.kill()
        self._session.communicate()

    def run(self) -> None:
        """Run all blocks.

        Raises:
            AssertionError: something failed, or printed something else than the page shows.
        """
        output: str | None = None
        for block in blocks_of(self._page):
            if block.first_line in self._not_run:
                output = None
            elif block.file_name is not None:
                self._write(block.file_name, block.text)
                output = None
            elif block.language == "python":
                output = self.run_code(block.text, block.line)
            elif block.language == "text" and output is not None:
                self._compare(block.line, block.text, output)
                output = None
            elif block.language in ("sh", "console"):
                self._run_commands(block)
                output = None

    def _write(self, name: str, text: str) -> None:
        file = self._folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def run_code(self, code: str, line: int = 0) -> str:
        """Run Python in the page's process, and give back what it prints."""
        assert self._session.stdin is not None
        assert self._session.stdout is not None
        print(json.dumps({"code": code, "line": line, "page": str(self._page)}), file=self._session.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self._session.stdout.readline() or '{"failure": "the process has ended"}')
        assert answer["failure"] is None, f"{self._page}:{line}: {answer['failure']}"
        output: str = answer["output"]
        return output

    def _run_commands(self, block: Block) -> None:
        for command, shown in _commands(block):
            if command in self._not_run:
                continue
            to_run = self._run_instead.get(command, command)
            if _SERVES.match(to_run):
                program, *arguments = shlex.split(to_run)
                program = shutil.which(program, path=self._environment["PATH"]) or program
                service = self._start_process(program, *arguments, env=self._environment, cwd=self._folder)
                service.wait_for_line("starting up")
                continue
            done = subprocess.run(
                ["bash", "-c", to_run],
                cwd=self._folder,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=_LIMIT_IN_SECONDS,
                check=False,
            )
            if shown is not None:
                self._compare(block.line, shown, done.stdout)
            else:
                assert done.returncode == 0, f"{self._page}:{block.line}: {command}: {done.stdout}"

    def _compare(self, line: int, shown: str, actual: str) -> None:
        assert is_like(shown, actual), f"{self._page}:{line} shows\n{shown}\nbut this came:\n{actual}"


def _commands(block: Block) -> Iterator[tuple[str, str | None]]:
    """The commands of a block, each with the output that is shown, or None where none is."""
    if block.language == "sh":
        yield from ((line, None) for line in block.text.splitlines() if line and not line.startswith("#"))
        return
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        yield command, shown
