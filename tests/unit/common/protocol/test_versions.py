from __future__ import annotations

import pytest

from pysoa.common.protocol.versions import ProtocolFeature, ProtocolVersion

V1, V2, V3 = ProtocolVersion.VERSION_1, ProtocolVersion.VERSION_2, ProtocolVersion.VERSION_3


@pytest.mark.parametrize(
    ("frame", "version", "rest"),
    [
        pytest.param(b"pysoa-redis/3//x", V3, b"x", id="3"),
        pytest.param(b"pysoa-redis/2//x", V2, b"x", id="2"),
        pytest.param(b"pysoa-redis/1//x", V1, b"x", id="1"),
        pytest.param(b"pysoa-redis/003//x", V3, b"x", id="leading zeros"),
        pytest.param(b"pysoa-redis/3//", V3, b"", id="nothing else"),
        pytest.param(b"content-type:a/b;x", V2, b"content-type:a/b;x", id="headers without a mark"),
        pytest.param(b"content-typo", V1, b"content-typo", id="almost a header"),
        pytest.param(b" content-type:a/b;x", V1, b" content-type:a/b;x", id="a blank first"),
        pytest.param(b"pysoa-redis/x//x", V1, b"pysoa-redis/x//x", id="no number"),
        pytest.param(b"pysoa-redis/3/x", V1, b"pysoa-redis/3/x", id="half a mark"),
        pytest.param(b"", V1, b"", id="nothing"),
    ],
)
def test_the_version_of_a_frame_is_told_by_its_start(frame: bytes, version: ProtocolVersion, rest: bytes) -> None:
    assert ProtocolVersion.extract_version(frame) == (version, rest)


@pytest.mark.parametrize(
    ("number", "told"),
    [(b"0", "0"), (b"4", "4"), (b"30", "30"), (b"9" * 5000, "a number of 5000 digits")],
)
def test_a_version_that_does_not_exist_is_an_error(number: bytes, told: str) -> None:
    with pytest.raises(ValueError, match=f"^{told} is not a valid ProtocolVersion$"):
        ProtocolVersion.extract_version(b"pysoa-redis/" + number + b"//")


def test_the_mark_of_a_version_holds_its_number() -> None:
    assert [version.prefix for version in ProtocolVersion] == [
        b"pysoa-redis/1//",
        b"pysoa-redis/2//",
        b"pysoa-redis/3//",
    ]


@pytest.mark.parametrize(
    ("feature", "versions"),
    [
        (ProtocolFeature.CONTENT_TYPE_HEADER, [V2, V3]),
        (ProtocolFeature.VERSION_MARKER, [V3]),
        (ProtocolFeature.CHUNKED_RESPONSES, [V3]),
    ],
)
def test_each_feature_came_with_a_version(feature: ProtocolFeature, versions: list[ProtocolVersion]) -> None:
    assert [version for version in ProtocolVersion if feature.supported_in(version)] == versions
