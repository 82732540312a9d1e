from __future__ import annotations

import copy
from typing import Any

import pytest

from pysoa.server.internal.forks import with_fork_id


def metrics(version: int, *publishers: Any) -> dict[str, Any]:
    return {"path": "a:B", "kwargs": {"prefix": "{{fid}}", "config": {"version": version, "publishers": publishers}}}


@pytest.mark.parametrize(("number", "text"), [(None, "main"), (4, "4")])
@pytest.mark.parametrize("mark", ["{{fid}}", "[[fid]]", "%%fid%%"])
def test_marks_in_what_publishers_are_given_become_the_number_of_the_worker(
    number: int | None, text: str, mark: str
) -> None:
    settings = metrics(2, {"path": mark, "kwargs": {"a": {"b": f"x-{mark}"}, "c": [mark], "d": 5}})
    before = copy.deepcopy(settings)

    replaced = with_fork_id(settings, number)

    (publisher,) = replaced["kwargs"]["config"]["publishers"]
    assert publisher == {"path": mark, "kwargs": {"a": {"b": f"x-{text}"}, "c": [mark], "d": 5}}
    assert replaced["kwargs"]["prefix"] == "{{fid}}"
    assert settings == before


def test_configurations_of_version_1_are_replaced_whole() -> None:
    replaced = with_fork_id(metrics(1, {"path": "{{fid}}", "other": "{{fid}}"}), 2)

    assert replaced["kwargs"]["config"]["publishers"] == [{"path": "2", "other": "2"}]


@pytest.mark.parametrize(
    "settings",
    [
        {"path": "a:B"},
        {"path": "a:B", "kwargs": {}},
        {"path": "a:B", "kwargs": {"config": None}},
        {"path": "a:B", "kwargs": {"config": {"publishers": "none"}}},
    ],
)
def test_settings_without_publishers_stay_as_they_are(settings: dict[str, Any]) -> None:
    assert with_fork_id(settings, 1) == settings
