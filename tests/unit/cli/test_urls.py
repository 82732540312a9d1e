from __future__ import annotations

import pytest

from pysoa.cli.terminal import Failure
from pysoa.cli.urls import checked_url


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://user:password@host:6379/2",
        "rediss://host:6380",
        "unix:///run/redis.sock",
        "redis://[::1]:6379",
    ],
)
def test_urls_of_brokers_pass(url: str) -> None:
    assert checked_url(url) == url


@pytest.mark.parametrize(
    "url", ["localhost", "http://host", "redis:", "redis://h:port", "redis://h:99999", "redis://h:0"]
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(Failure, match="is no broker: give redis://HOST:PORT"):
        checked_url(url)


def test_a_password_is_not_shown() -> None:
    with pytest.raises(Failure) as raised:
        checked_url("redis://:secret@host:99999")

    assert "secret" not in str(raised.value)
