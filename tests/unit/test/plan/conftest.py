"""Fixtures that read fixture files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pysoa.test.plan.errors import FixtureSyntaxError
from pysoa.test.plan.parser import ServiceTestPlanFixtureParser

Cases = list[dict[str, Any]]
Read = Callable[..., Cases]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read_text(text: str | bytes) -> Cases:
        path = tmp_path / "x.pysoa"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return ServiceTestPlanFixtureParser(str(path), "x").parse_test_fixture()

    return read_text


@pytest.fixture
def error(read: Read) -> Callable[[str | bytes], FixtureSyntaxError]:
    def error_of(text: str | bytes) -> FixtureSyntaxError:
        with pytest.raises(FixtureSyntaxError) as caught:
            read(text)
        return caught.value

    return error_of
