"""What is found in the requirements of a project, and which releases version clauses allow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from pysoa.cli.upgrade.requirements import highest
from tests.support.upgrades import found, write

MUST, NOTE = "must change", "worth knowing"


@pytest.mark.parametrize(
    ("versions", "limit"),
    [
        ("", None),
        (">=1.4", None),
        ("!=1.4.9", None),
        ("*", None),
        ("<2", ((2,), False)),
        ("<=1.4.9", ((1, 4, 9), True)),
        ("==1.4.9", ((1, 4, 9), True)),
        ("===1.4.9", ((1, 4, 9), True)),
        ("==1.*", ((2,), False)),
        ("~=1.4", ((2,), False)),
        ("~=1.4.9", ((1, 5), False)),
        (">=1.0, <3, !=2.1", ((3,), False)),
        (">=1,<2,<1.5", ((1, 5), False)),
        ("^1.4.9", ((2,), False)),
        ("^0.42.0", ((0, 43), False)),
        ("^0.0", ((0, 1), False)),
        ("~1.4", ((1, 5), False)),
        ("~1", ((2,), False)),
        ("not a version", None),
    ],
)
def test_the_highest_release_that_clauses_allow(versions: str, limit: object) -> None:
    assert highest(versions) == limit


SETUP = """
    from setuptools import setup
    TESTS = ("pytest", "redis<4")
    setup(
        name="shop",
        install_requires=[
            "pysoa[test_plans] >= 1.4, < 2",
            "attrs<21.4; python_version < '3.7'",
            "click",
        ],
        extras_require={"testing": TESTS},
        python_requires=">=2.7, <3.11",
        classifiers=["pysoa is what it is for"],
    )
"""
SETUP_CFG = """
    [metadata]
    description = pysoa<2 is a text here

    [options]
    python_requires = ~=3.6
    install_requires =
        requests
        pysoa~=1.4
        msgpack ~= 0.6
    [options.extras_require]
    testing =
        pymetrics
"""
PYPROJECT = """
    [project]
    name = "shop"
    dependencies = ["requests", "pysoa==1.4.*"]

    [project.optional-dependencies]
    fast = ["redis>=3,<=5.1"]

    [dependency-groups]
    test = ["pytest", {include-group = "lint"}]
"""
POETRY = """
    [tool.poetry.dependencies]
    python = "^3.7"
    pysoa = {version = "^1.4", extras = ["pytest"]}

    [tool.poetry.group.test.dependencies]
    redis = "3.5.3"
"""
PIPFILE = """
    [packages]
    PySOA = "~=1.4"
    six = "*"
"""
REQUIREMENTS = """
    # pysoa==1.4.9
    -r other.txt
    --hash=sha256:0
    pysoa==1.4.9 \\
        --hash=sha256:0
    git+https://example.com/pysoa.git
    attrs>=18.2,<22
    redis<6  # as before
    conformity==1.28.0
"""


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "setup.py",
            SETUP,
            [
                (3, MUST, "redis <4 cannot be had with PySOA 2, which needs 5.2 or newer"),
                (7, MUST, "pysoa >= 1.4, < 2 keeps this release out"),
                (8, MUST, "attrs <21.4 cannot be had with PySOA 2, which needs 21.4 or newer"),
                (12, MUST, "python >=2.7, <3.11 cannot be had with PySOA 2, which needs 3.11 or newer"),
            ],
        ),
        (
            "setup.cfg",
            SETUP_CFG,
            [
                (9, MUST, "pysoa ~=1.4 keeps this release out"),
                (10, MUST, "msgpack ~= 0.6 cannot be had with PySOA 2, which needs 1.2.3 or newer"),
                (13, NOTE, "PySOA does without pymetrics"),
            ],
        ),
        (
            "pyproject.toml",
            PYPROJECT,
            [
                (4, MUST, "pysoa ==1.4.* keeps this release out"),
                (7, MUST, "redis >=3,<=5.1 cannot be had with PySOA 2, which needs 5.2 or newer"),
            ],
        ),
        (
            "pyproject.toml",
            POETRY,
            [
                (4, MUST, "pysoa ^1.4 keeps this release out"),
                (7, MUST, "redis ==3.5.3 cannot be had with PySOA 2, which needs 5.2 or newer"),
            ],
        ),
        ("Pipfile", PIPFILE, [(3, MUST, "pysoa ~=1.4 keeps this release out")]),
        (
            "requirements-prod.txt",
            REQUIREMENTS,
            [
                (5, MUST, "pysoa ==1.4.9 keeps this release out"),
                (10, MUST, "conformity ==1.28.0 cannot be had with PySOA 2, which needs 1.28.2 or newer"),
            ],
        ),
        ("requirements/base.txt", "pysoa<2\n", [(1, MUST, "pysoa <2 keeps this release out")]),
        ("constraints.txt", "pysoa<3\nredis>=5\n", []),
        ("notes.txt", "pysoa<2\n", []),
        ("pyproject.toml", "[project\n", [(1, NOTE, "this cannot be read: ...")]),
        ("setup.cfg", "[options]\n= =\n", [(1, NOTE, "this cannot be read: ...")]),
    ],
)
def test_pins_that_keep_this_release_out_are_found(
    name: str, text: str, expected: list[tuple[int, str, str]], tmp_path: Path
) -> None:
    write(tmp_path, {name: text})

    seen = [
        (line, severity, "this cannot be read: ..." if "cannot be read" in what else what)
        for path, line, severity, what in found(tmp_path)
        if path == name
    ]

    assert sorted(seen) == expected


IMPORTS = """
    import conformity.fields
    import six
    from currint import Amount
    try:
        import pytz
    except ImportError:
        pytz = None
    RECORDER = "pymetrics.recorders.default:DefaultMetricsRecorder"
    NO_RECORDER = "pymetrics.recorders.noop:NonOperationalMetricsRecorder"
"""


def _used(package: str) -> str:
    return f"{package} is used here, and PySOA 2 does not install it as 1.x did"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            {"requirements.txt": "pysoa>=2\n"},
            [(MUST, _used(package)) for package in ("conformity", "currint", "pymetrics", "six")],
        ),
        (
            {
                "requirements.txt": "pysoa[conformity,currency]>=2\n",
                "setup.cfg": "[options]\ninstall_requires =\n    six\n",
            },
            [(MUST, _used("pymetrics"))],
        ),
        ({}, [(NOTE, _used(package)) for package in ("conformity", "currint", "pymetrics", "six")]),
    ],
)
def test_what_1x_brought_along_has_to_be_required(
    files: Mapping[str, str], expected: list[tuple[str, str]], tmp_path: Path
) -> None:
    write(tmp_path, {**files, "code.py": IMPORTS})

    assert sorted((severity, what) for path, _, severity, what in found(tmp_path) if path == "code.py") == expected
