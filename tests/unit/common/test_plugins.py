from __future__ import annotations

import warnings
from typing import Any

import pytest

from pysoa.common.fields import NO_KWARGS, Dictionary, FieldError, Integer
from pysoa.common.instruments import NO_METRICS
from pysoa.common.plugins import (
    ClassConfiguration,
    MetricsConfiguration,
    PythonPath,
    accepts_kwargs,
    make_recorder,
    resolve_python_path,
)


class Base:
    pass


@accepts_kwargs(Dictionary({"size": Integer(gt=0)}, optional_keys=("size",)))
class Decorated(Base):
    def __init__(self, size: int = 1) -> None:
        self.size = size


class Heir(Decorated):
    class Inner:
        pass


class Undecorated(Base):
    def __init__(self, color: str, **options: int) -> None:
        self.color = color


class UndecoratedExact(Base):
    def __init__(self, color: str) -> None:
        self.color = color


class Recorder:
    def __init__(self, config: Any = None) -> None:
        self.config = config

    def counter(self, name: str, initial_value: int = 0, **tags: Any) -> Any: ...

    def timer(self, name: str, *args: Any, **tags: Any) -> Any: ...

    def histogram(self, name: str, *args: Any, **tags: Any) -> Any: ...

    def gauge(self, name: str, *args: Any, **tags: Any) -> Any: ...

    def publish_all(self) -> None: ...


class ForeignSchema:
    """What Conformity's decorator leaves on a class, as far as anybody may know."""

    def errors(self, value: Any) -> list[FieldError]:
        return [] if value == {"from": "elsewhere"} else [FieldError("not from elsewhere", "from", "FOREIGN")]

    def introspect(self) -> dict[str, Any]:
        return {"type": "foreign"}


class MarkedByConformity(Base):
    _conformity_initialization_schema = ForeignSchema()

    def __init__(self, **kwargs: Any) -> None:
        pass


not_a_class = 5

HERE = __name__


def path(name: str) -> str:
    return f"{HERE}:{name}"


def seen(errors: list[FieldError]) -> list[tuple[str, str | None, str]]:
    return [(error.code, error.pointer, error.message) for error in errors]


@pytest.mark.parametrize(
    "text", [f"{HERE}:Heir.Inner", f"{HERE}:Decorated", f"{HERE}.Decorated"], ids=["nested", "colon", "dot"]
)
def test_both_forms_of_paths_are_resolved(text: str) -> None:
    assert resolve_python_path(text) is (Heir.Inner if "Inner" in text else Decorated)


@pytest.mark.parametrize("text", ["nothing", "", ":Thing", "module:", ".relative:Thing", "."])
def test_text_that_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an import path"):
        resolve_python_path(text)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (5, "Not a unicode string"),
        ("nothing", 'Value "nothing" is not a valid Python import path'),
        ("no_such_module:Thing", "ImportError: No module named 'no_such_module'"),
        ("math:thing", "AttributeError: module 'math' has no attribute 'thing'"),
    ],
    ids=["type", "form", "module", "attribute"],
)
def test_a_path_that_leads_nowhere_is_a_fault(value: Any, message: str) -> None:
    assert [error.message for error in PythonPath().errors(value)] == [message]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param([], ("INVALID", None, "Not a mapping (dictionary)"), id="list"),
        pytest.param({"path": "x:y", "b": 1, "a": 1}, ("UNKNOWN", None, "Extra keys present: a, b"), id="extra-keys"),
        pytest.param({}, ("MISSING", "path", "Missing key (and no default specified): path"), id="no-path"),
        pytest.param({"path": path("not_a_class")}, ("INVALID", "path", "Not a type"), id="no-type"),
        pytest.param(
            {"path": "decimal:Decimal"},
            (
                "INVALID",
                "path",
                f"Type <class 'decimal.Decimal'> is not one of or a subclass of one of: {Base}",
            ),
            id="other-base",
        ),
        pytest.param(
            {"path": path("Decorated"), "kwargs": {"size": 0}},
            ("INVALID", "kwargs.size", "Value not > 0"),
            id="kwargs",
        ),
        pytest.param(
            {"path": path("Heir"), "kwargs": {"sise": 1}},
            ("UNKNOWN", "kwargs", "Extra keys present: sise"),
            id="kwargs-of-base",
        ),
        pytest.param({"path": path("Decorated"), "kwargs": 5}, ("INVALID", "kwargs", "Not a dict"), id="kwargs-type"),
        pytest.param(
            {"path": path("MarkedByConformity"), "kwargs": {}},
            ("FOREIGN", "kwargs.from", "not from elsewhere"),
            id="foreign-schema",
        ),
        pytest.param(
            {"path": path("UndecoratedExact"), "kwargs": {"colour": "red"}},
            (
                "INVALID",
                "kwargs",
                "UndecoratedExact does not take them: got an unexpected keyword argument 'colour'",
            ),
            id="undecorated-wrong-name",
        ),
    ],
)
def test_a_bad_class_configuration_is_refused(value: Any, expected: tuple[str, str | None, str]) -> None:
    assert seen(ClassConfiguration(Base).errors(value)) == [expected]


def test_a_sound_class_configuration_gains_the_class() -> None:
    value: dict[str, Any] = {"path": path("Heir"), "kwargs": {"size": 3}}

    errors = ClassConfiguration(path("Base")).errors(value)

    assert errors == []
    assert value["object"] is Heir
    assert ClassConfiguration(Base).errors(value) == []


def test_a_missing_path_takes_the_default() -> None:
    value: dict[str, Any] = {"kwargs": {"size": 3}}

    errors = ClassConfiguration(Base, path("Decorated")).errors(value)

    assert errors == []
    assert (value["path"], value["object"]) == (path("Decorated"), Decorated)


def test_undecorated_classes_are_accepted_with_a_warning() -> None:
    value = {"path": path("Undecorated"), "kwargs": {"color": "red", "depth": 2}}

    with pytest.warns(DeprecationWarning, match="decorate it with pysoa.common.plugins.accepts_kwargs"):
        errors = ClassConfiguration(Base).errors(value)

    assert errors == []


def test_a_subclass_of_a_pysoa_class_with_its_own_constructor_counts_as_undecorated() -> None:
    shipped = accepts_kwargs(NO_KWARGS)(type("Shipped", (), {"__module__": "pysoa.somewhere"}))

    class Own(shipped):  # type: ignore[misc, valid-type]
        def __init__(self, level: int) -> None:
            self.level = level

    class Plain(shipped):  # type: ignore[misc, valid-type]
        pass

    globals().update(Own=Own, Plain=Plain)

    with pytest.warns(DeprecationWarning, match="does not say which keyword arguments"):
        accepted = ClassConfiguration().errors({"path": path("Own"), "kwargs": {"level": 1}})
    refused = ClassConfiguration().errors({"path": path("Plain"), "kwargs": {"level": 1}})

    assert accepted == []
    assert seen(refused) == [("UNKNOWN", "kwargs", "Extra keys present: level")]


def test_conformity_decorated_classes_are_honoured() -> None:
    theirs = pytest.importorskip("conformity.fields")

    @theirs.ClassConfigurationSchema.provider(theirs.Dictionary({"size": theirs.Integer(gt=0)}))
    class Theirs(Base):
        pass

    globals().update(Theirs=Theirs)

    errors = ClassConfiguration(Base).errors({"path": path("Theirs"), "kwargs": {"size": 0}})

    assert seen(errors) == [("INVALID", "kwargs.size", "Value not > 0")]


@pytest.mark.parametrize(
    "old_path",
    [
        "pymetrics.recorders.noop:NonOperationalMetricsRecorder",
        "pysoa.common.metrics:NoOpMetricsRecorder",
        "pysoa.common.instruments:NoOpMetricsRecorder",
    ],
)
def test_no_metrics_are_recorded_under_any_of_their_names(old_path: str) -> None:
    value = {"path": old_path}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the module of the old name may say that it is old
        errors = MetricsConfiguration().errors(value)

    assert errors == []
    assert make_recorder(value) is NO_METRICS


def test_our_no_op_recorder_takes_no_arguments() -> None:
    value = {"path": "pysoa.common.instruments:NoOpMetricsRecorder", "kwargs": {"size": 1}}

    assert seen(MetricsConfiguration().errors(value)) == [("UNKNOWN", "kwargs", "Extra keys present: size")]


def test_a_recorder_is_known_by_its_methods() -> None:
    value = {"path": path("Recorder"), "kwargs": {"config": {"any": "thing"}}}

    with pytest.warns(DeprecationWarning, match="does not say"):
        errors = MetricsConfiguration().errors(value)
    recorder = make_recorder(value)

    assert errors == []
    assert isinstance(recorder, Recorder)
    assert recorder.config == {"any": "thing"}


def test_a_class_that_records_nothing_is_no_recorder() -> None:
    errors = MetricsConfiguration().errors({"path": path("Base")})

    assert [error.message for error in errors] == [f"Type {Base} is not a metrics recorder"]
