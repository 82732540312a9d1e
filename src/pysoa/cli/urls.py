"""URLs of brokers, as people give them."""

from __future__ import annotations

from urllib.parse import urlsplit

from pysoa.cli.terminal import Failure

__all__ = ("checked_url",)


def checked_url(url: str) -> str:
    """Give the URL back if it can be that of a broker.

    Raises:
        Failure: it cannot.
    """
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("redis", "rediss", "unix") and bool(parts.netloc or parts.path) and parts.port != 0
    except ValueError:  # a port that is no number, or too large
        is_one = False
    if not is_one:
        shown = f"...@{url.rpartition('@')[2]}" if "@" in url else url
        raise Failure(f"{shown!r} is no broker: give redis://HOST:PORT, rediss://HOST:PORT or unix:///PATH")
    return url
