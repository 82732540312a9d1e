from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from pysoa.common.fields import Boolean, Dictionary, Integer, List, SchemalessDictionary, UnicodeString
from pysoa.common.settings import Settings, SettingsData, SettingsSchema, SOASettings


class Fruit(Settings):
    schema: ClassVar[SettingsSchema] = {
        "count": Integer(gte=1),
        "box": Dictionary({"wide": Integer(), "lid": Boolean()}),
        "names": List(UnicodeString()),
    }
    defaults: ClassVar[SettingsData] = {"count": 1, "box": {"wide": 2, "lid": True}, "names": ["a", "b"]}


class Citrus(Fruit):
    schema: ClassVar[SettingsSchema] = {"count": UnicodeString(), "acid": Integer()}
    defaults: ClassVar[SettingsData] = {"count": "many", "acid": 4}


class Stone(Settings):
    schema: ClassVar[SettingsSchema] = {"acid": Boolean(), "hard": Boolean()}
    defaults: ClassVar[SettingsData] = {"acid": False, "hard": True}


class Secretive(Settings):
    schema: ClassVar[SettingsSchema] = {
        "login": SchemalessDictionary(value_type=UnicodeString(max_length=2)),
        "brokers": List(UnicodeString(max_length=2)),
    }
    defaults: ClassVar[SettingsData] = {"login": {}, "brokers": []}


def refusal(cls: type[Settings], data: Mapping[str, Any]) -> str:
    with pytest.raises(Settings.ImproperlyConfigured) as caught:
        cls(data)
    return str(caught.value)


def test_own_keys_win_over_those_of_bases() -> None:
    settings = Citrus({"count": "few"})

    assert dict(settings) == {"count": "few", "acid": 4, "box": {"wide": 2, "lid": True}, "names": ["a", "b"]}


def test_left_bases_win_over_right_ones() -> None:
    class LeftCitrus(Citrus, Stone):
        pass

    class LeftStone(Stone, Citrus):
        pass

    assert LeftCitrus({})["acid"] == 4
    assert LeftStone({})["acid"] is False
    assert set(LeftCitrus.schema) == {"count", "box", "names", "acid", "hard"}
    assert "hard" not in Citrus.schema


def test_dicts_are_merged_into_defaults_and_lists_replace_them() -> None:
    settings = Fruit({"box": {"wide": 9}, "names": []})

    assert settings["box"] == {"wide": 9, "lid": True}
    assert settings["names"] == []


def test_settings_share_nothing_with_data_and_defaults() -> None:
    data: dict[str, Any] = {"names": ["x"]}
    settings = Fruit(data)

    settings["names"].append("y")
    settings["box"]["wide"] = 5

    assert data == {"names": ["x"]}
    assert Fruit({})["box"]["wide"] == 2


def test_settings_read_like_a_dict() -> None:
    settings = Fruit({})

    assert settings["count"] == settings.get("count") == 1
    assert (settings.get("other"), settings.get("other", 5)) == (None, 5)
    assert "count" in settings
    assert "other" not in settings
    assert len(settings) == 3
    assert list(settings) == list(settings.keys()) == list(Fruit.schema)
    assert dict(settings.items()) == dict(zip(settings.keys(), settings.values(), strict=True))
    assert settings == Fruit({})
    assert settings != Fruit({"count": 2})
    assert settings != dict(settings)


def test_settings_do_not_show_their_values_by_accident() -> None:
    assert "hunter2" not in repr(Secretive({"brokers": []})) + repr(Fruit({"names": ["hunter2"]}))


def test_a_refused_change_leaves_the_settings_as_they_were() -> None:
    settings = Fruit({"count": 3})

    with pytest.raises(Settings.ImproperlyConfigured):
        settings.set({"count": 0})

    assert settings["count"] == 3


def test_missing_keys_are_named() -> None:
    class Strict(Settings):
        schema: ClassVar[SettingsSchema] = {"one": Integer(), "two": Integer(), "three": Integer()}

    assert refusal(Strict, {"two": 2}) == "No value provided for required setting(s): one, three"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        pytest.param({"zz": 1, "aa": 2}, "Unknown setting(s): aa, zz (allowed: box, count, names)", id="unknown"),
        pytest.param({"counts": 1}, 'Unknown setting(s): counts (did you mean "count"?)', id="misspelt"),
        pytest.param({"count": 0}, "Invalid setting 'count':\n  - Value not >= 1 (got 0)\n", id="bound"),
        pytest.param({"count": "x"}, "Invalid setting 'count':\n  - Not an integer (got 'x')\n", id="type"),
        pytest.param({"count": {}}, "Invalid setting 'count':\n  - Not an integer (got a dict)\n", id="container"),
        pytest.param({"box": 5}, "Invalid setting 'box':\n  - Not a dict (got 5)\n", id="no-dict"),
        pytest.param(
            {"box": {"wide": None}, "names": ["a", 5]},
            "Invalid setting 'box':\n  - wide: Not an integer (got None)\n"
            "Invalid setting 'names':\n  - 1: Not a unicode string (got 5)\n",
            id="several",
        ),
        pytest.param(
            {"box": {"wdie": 1}},
            "Invalid setting 'box':\n  - Extra keys present: wdie (did you mean \"wide\"?)\n",
            id="misspelt-part",
        ),
    ],
)
def test_bad_settings_are_refused_with_key_value_and_what_is_allowed(data: dict[str, Any], text: str) -> None:
    assert refusal(Fruit, data) == text


def test_refusals_tell_no_secrets() -> None:
    text = refusal(
        Secretive, {"login": {"password": "hunter2"}, "brokers": ["rediss://user:hunter2@example.com:6380/0"]}
    )

    assert "hunter2" not in text
    assert "login" in text
    assert "'...@example.com:6380/0'" in text


def test_the_exception_is_one_class_for_all_settings() -> None:
    assert Fruit.ImproperlyConfigured is SOASettings.ImproperlyConfigured is Settings.ImproperlyConfigured
    assert Settings.ImproperlyConfigured.__bases__ == (Exception,)


@dataclasses.dataclass
class Shelf:
    width: int
    since: datetime.date = datetime.date(2020, 1, 1)


class Warehouse(Fruit):
    restock_below: int = 10
    shelves: list[Shelf]
    title: str | None = None
    _private: int = 5
    shared: ClassVar[int] = 7


def test_annotations_are_keys_with_types_and_defaults() -> None:
    settings = Warehouse({"shelves": [{"width": 3, "since": "2021-02-03"}]})

    assert settings["restock_below"] == settings.restock_below == 10
    assert settings.shelves == [Shelf(3, datetime.date(2021, 2, 3))]
    assert settings["title"] is None
    assert "_private" not in settings
    assert "shared" not in settings
    assert Warehouse.shared == 7


def test_an_annotated_key_given_in_data_is_what_its_attribute_shows() -> None:
    assert Warehouse({"shelves": [], "restock_below": 3}).restock_below == 3


def test_an_annotated_key_without_default_is_required() -> None:
    assert refusal(Warehouse, {}) == "No value provided for required setting(s): shelves"


def test_annotated_keys_are_checked_and_inherited() -> None:
    class BigWarehouse(Warehouse):
        pass

    text = refusal(BigWarehouse, {"shelves": [{"width": "3", "depth": 1}], "restock_below": True})

    assert text == (
        "Invalid setting 'restock_below':\n  - Not an integer (got True)\n"
        "Invalid setting 'shelves':\n  - 0.width: Not an integer (got '3')\n"
        "  - 0.depth: Extra keys present: depth (allowed: since, width)\n"
    )


def test_a_subclass_may_give_an_annotated_key_another_default() -> None:
    class BigWarehouse(Warehouse):
        restock_below = 50

    assert BigWarehouse({"shelves": []}).restock_below == 50
    assert BigWarehouse({"shelves": [], "restock_below": 3}).restock_below == 3
    assert Warehouse({"shelves": []}).restock_below == 10


def test_unknown_attributes_are_no_settings() -> None:
    settings = Warehouse({"shelves": []})

    with pytest.raises(AttributeError, match="has no attribute 'count'"):
        _ = settings.count


def test_conversion_methods_of_042_still_work() -> None:
    class Old(Fruit):
        def convert_count(self, value: int) -> str:
            return f"{value} pieces"

    with pytest.warns(DeprecationWarning, match="Old.convert_count"):
        settings = Old({"count": 3})

    assert settings["count"] == "3 pieces"


def test_base_settings_take_any_transport_class_and_need_one() -> None:
    assert refusal(SOASettings, {}) == "No value provided for required setting(s): transport"


def test_conformity_fields_extend_settings() -> None:
    theirs = pytest.importorskip("conformity.fields")

    class Extended(Fruit):
        schema: ClassVar[SettingsSchema] = {"ratio": theirs.Float(gt=0), "kind": theirs.Constant("a", "b")}
        defaults: ClassVar[SettingsData] = {"ratio": 0.5, "kind": "a"}

    assert Extended({"count": 2})["ratio"] == 0.5
    assert refusal(Extended, {"ratio": 0, "kind": "c"}) == (
        "Invalid setting 'ratio':\n  - Value not > 0 (got 0)\n"
        "Invalid setting 'kind':\n  - Value is not one of: \"a\", \"b\" (got 'c')\n"
    )
