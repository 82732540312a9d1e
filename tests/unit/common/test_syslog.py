"""The syslog handler: what it sends, over sockets of this machine."""

from __future__ import annotations

import gc
import logging
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from pysoa.common.logging import SyslogHandler

PRIORITY = b"<14>"  # facility user, level info


@pytest.fixture
def daemon() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.settimeout(5)
        yield daemon


@pytest.fixture
def make_handler(daemon: socket.socket) -> Iterator[Callable[..., SyslogHandler]]:
    handlers: list[SyslogHandler] = []

    def make(*, maximum_length: int | None = None, **options: Any) -> SyslogHandler:
        handler = SyslogHandler(**{"address": daemon.getsockname(), **options})
        handlers.append(handler)
        handler.maximum_length = maximum_length or handler.maximum_length
        return handler

    yield make
    for handler in handlers:
        handler.close()


def record(message: str, *args: Any) -> logging.LogRecord:
    return logging.LogRecord("some.logger", logging.INFO, __file__, 1, message, args, None)


def received(daemon: socket.socket, count: int = 1) -> list[bytes]:
    return [daemon.recv(70_000) for _ in range(count)]


def test_a_record_is_one_packet(daemon: socket.socket, make_handler: Callable[..., SyslogHandler]) -> None:
    make_handler().emit(record("héllo %s", "world"))

    assert received(daemon) == [PRIORITY + "héllo world".encode() + b"\0"]


def test_ident_and_nul_are_those_of_the_standard_handler(
    daemon: socket.socket, make_handler: Callable[..., SyslogHandler]
) -> None:
    handler = make_handler(facility="local7")
    handler.ident = "service: "
    handler.append_nul = False

    handler.emit(record("hello"))

    assert received(daemon) == [b"<190>service: hello"]


def test_a_long_record_is_spread_over_packets_that_each_have_its_beginning(
    daemon: socket.socket, make_handler: Callable[..., SyslogHandler]
) -> None:
    handler = make_handler(maximum_length=100)
    handler.setFormatter(logging.Formatter("%(name)s %(levelname)s: %(message)s"))
    text = "".join(f"{number:05}" for number in range(40))

    handler.emit(record(text))

    beginning = PRIORITY + b"some.logger INFO: "
    assert received(daemon, 4) == [
        beginning + text[:65].encode() + b"... (cont'd)\0",
        beginning + b"(cont'd #2) ..." + text[65:115].encode() + b"... (cont'd)\0",
        beginning + b"(cont'd #3) ..." + text[115:165].encode() + b"... (cont'd)\0",
        beginning + b"(cont'd #4) ..." + text[165:].encode() + b"\0",
    ]


def test_where_the_message_cannot_be_found_the_first_thirty_characters_are_repeated(
    daemon: socket.socket, make_handler: Callable[..., SyslogHandler]
) -> None:
    handler = make_handler(maximum_length=120)
    handler.setFormatter(mock.Mock(format=lambda _: "0123456789" * 20))

    handler.emit(record("another text"))

    first, second = received(daemon, 2)
    assert first.startswith(PRIORITY + b"0123456789" * 3 + b" 0123456789")
    assert second.startswith(PRIORITY + b"0123456789" * 3 + b" (cont'd #2) ...")


def test_a_long_record_can_be_cut_instead(daemon: socket.socket, make_handler: Callable[..., SyslogHandler]) -> None:
    handler = make_handler(maximum_length=20, overflow=SyslogHandler.OVERFLOW_BEHAVIOR_TRUNCATE)

    handler.emit(record("é" * 100))

    # 20 bytes leave 15 for the text, which is half a character too many.
    assert received(daemon) == [PRIORITY + "é".encode() * 7 + b"\0"]


@pytest.mark.parametrize(("length", "packets"), [(95, 1), (96, 2)])
def test_a_record_that_just_does_not_fit_is_spread(
    daemon: socket.socket, make_handler: Callable[..., SyslogHandler], length: int, packets: int
) -> None:
    handler = make_handler(maximum_length=100)  # five of them are the priority and the end

    handler.emit(record("x" * length))

    text = b"".join(received(daemon, packets))
    assert text.count(b"x") == length
    assert text.count(b"\0") == packets


@pytest.mark.parametrize("maximum_length", range(60, 70))
def test_no_character_is_split(
    daemon: socket.socket, make_handler: Callable[..., SyslogHandler], maximum_length: int
) -> None:
    handler = make_handler(maximum_length=maximum_length)

    handler.emit(record("日本語" * 20))

    text, packets = "", 0
    while len(text) < 60:
        packet = received(daemon)[0].removeprefix(PRIORITY).removesuffix(b"\0").decode("utf-8")
        packets += 1
        text += packet.removesuffix("... (cont'd)").removeprefix(f"(cont'd #{packets}) ...")
    assert text == "日本語" * 20


def test_a_prefix_that_leaves_no_room_does_not_stop_the_text(
    daemon: socket.socket, make_handler: Callable[..., SyslogHandler]
) -> None:
    handler = make_handler(maximum_length=40)
    handler.setFormatter(logging.Formatter("x" * 50 + "%(message)s"))

    handler.emit(record("short"))

    assert [packet[54:59] for packet in received(daemon, 2)] == [b"shor.", b"(cont"]


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("abc", 2, ("ab", "c")),
        ("abc", 3, ("abc", "")),
        ("abc", 9, ("abc", "")),
        ("aé", 2, ("a", "é")),
        ("a日b", 3, ("a", "日b")),
        ("a日b", 4, ("a日", "b")),
        ("😀", 3, ("", "😀")),
    ],
)
def test_text_is_sliced_between_characters(text: str, limit: int, expected: tuple[str, str]) -> None:
    first, rest = SyslogHandler._cleanly_slice_encoded_string(text.encode(), limit)

    assert (first.decode(), rest.decode()) == expected


@pytest.mark.parametrize(
    ("largest_that_passes", "maximum_length"),
    [(65535, 65507), (9000, 1972), (1500, 1472), (1400, 1252), (1000, 548)],
)
def test_the_largest_packet_is_found_by_sending_one(
    monkeypatch: pytest.MonkeyPatch, largest_that_passes: int, maximum_length: int
) -> None:
    monkeypatch.setattr(SyslogHandler, "_mtu_by_host", {})
    probe = mock.MagicMock(spec=socket.socket)
    probe.__enter__.return_value = probe

    def send(datagram: bytes) -> int:
        assert set(datagram) == {ord("#")}
        if len(datagram) + 28 > largest_that_passes:
            raise OSError(90, "Message too long")
        return len(datagram)

    probe.send.side_effect = send
    monkeypatch.setattr("pysoa.common.syslog.sys.platform", "linux")
    handler = SyslogHandler(("127.0.0.1", 514))
    monkeypatch.setattr(SyslogHandler, "_mtu_by_host", {})
    with mock.patch("pysoa.common.syslog.socket.socket", return_value=probe):
        found = handler._mtu("127.0.0.1", socket.AF_INET) - 28
        again = handler._mtu("127.0.0.1", socket.AF_INET) - 28
    handler.close()

    assert found == again == maximum_length
    probe.connect.assert_called_once_with(("127.0.0.1", 9999))
    assert (handler.overflow, SyslogHandler.OVERFLOW_BEHAVIOR_TRUNCATE) == (0, 1)


def test_on_other_systems_the_smallest_packet_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pysoa.common.syslog.sys.platform", "plan9")

    assert SyslogHandler._probe_mtu("127.0.0.1", socket.AF_INET) == 576


def test_over_tcp_records_are_cut_at_one_mebibyte() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        handler = SyslogHandler(server.getsockname(), socket_type=socket.SOCK_STREAM)
        connection = server.accept()[0]

        handler.emit(record("hello"))
        text = connection.recv(100)
        handler.close()
        connection.close()

    assert text == PRIORITY + b"hello\0"
    assert handler.maximum_length == 1_048_576
    assert handler.overflow == SyslogHandler.OVERFLOW_BEHAVIOR_TRUNCATE


def test_over_tcp_a_record_that_is_too_long_is_cut_between_characters() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        # Whatever it is told, a stream has no packets to spread a record over.
        handler = SyslogHandler(server.getsockname(), socket_type=socket.SOCK_STREAM, overflow=0)
        handler.maximum_length = 20
        connection = server.accept()[0]

        handler.emit(record("é" * 100))
        text = connection.recv(1000)
        handler.close()
        connection.close()

    assert text == PRIORITY + "é".encode() * 7 + b"\0"


def test_over_a_unix_socket_a_record_that_is_too_long_is_cut(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(str(tmp_path / "log"))
        daemon.settimeout(5)
        handler = SyslogHandler(str(tmp_path / "log"), overflow=SyslogHandler.OVERFLOW_BEHAVIOR_FRAGMENT)
        handler.maximum_length = 20

        handler.emit(record("日" * 100))
        text = daemon.recv(1000)
        handler.close()

    assert text == PRIORITY + "日".encode() * 5 + b"\0"


def test_over_a_unix_socket_a_restarted_daemon_is_found_again(tmp_path: Path) -> None:
    path = str(tmp_path / "log")
    handler = None
    texts = []
    for message in ("before", "after"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
            daemon.bind(path)
            daemon.settimeout(5)
            handler = handler or SyslogHandler(path)
            handler.emit(record(message))
            texts.append(daemon.recv(100))
        Path(path).unlink()
    assert handler is not None
    handler.close()

    assert texts == [PRIORITY + b"before\0", PRIORITY + b"after\0"]
    assert (handler.maximum_length, handler.overflow) == (1_048_576, SyslogHandler.OVERFLOW_BEHAVIOR_TRUNCATE)


def test_what_goes_wrong_is_left_to_logging(make_handler: Callable[..., SyslogHandler]) -> None:
    handler = make_handler()
    handler.handleError = mock.Mock()  # type: ignore[method-assign]

    handler.emit(record("%d", "no number"))

    handler.handleError.assert_called_once()


def test_a_handler_that_nobody_keeps_closes_its_socket(daemon: socket.socket) -> None:
    handler = SyslogHandler(address=daemon.getsockname())
    its_socket = handler.socket

    del handler
    gc.collect()

    assert its_socket.fileno() == -1
