"""A syslog handler that fits its packets to the network instead of losing long records.

Over UDP a packet above the path's maximum transmission unit (MTU) is dropped by many networks and daemons, so the
handler finds out how much gets through and cuts or spreads a long record over several packets.
"""

from __future__ import annotations

import logging
import logging.handlers
import socket
import sys
from collections.abc import Iterable
from socket import AddressFamily, SocketKind
from typing import Any, ClassVar, Final

__all__ = ("SyslogHandler",)

_MTUS_TO_TRY: Final = (65535, 2000, 1500, 1280)
_SMALLEST_MTU: Final = 576
_PROBED_PORT: Final = 9999
_PACKET_OVERHEAD: Final = {socket.AF_INET: 20 + 8, socket.AF_INET6: 40 + 8}  # the headers of IP and of UDP
_MAXIMUM_LENGTH_OF_STREAMS: Final = 1_048_576

# How to forbid fragments: level, option, value. Python 3.11 does not name these constants.
_DO_NOT_FRAGMENT: Final = {
    ("linux", socket.AF_INET): (socket.IPPROTO_IP, 10, 2),  # IP_MTU_DISCOVER, IP_PMTUDISC_DO
    ("linux", socket.AF_INET6): (socket.IPPROTO_IPV6, 23, 2),  # IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO
    ("darwin", socket.AF_INET): (socket.IPPROTO_IP, 28, 1),  # IP_DONTFRAG
    ("darwin", socket.AF_INET6): (socket.IPPROTO_IPV6, 62, 1),  # IPV6_DONTFRAG
}


class SyslogHandler(logging.handlers.SysLogHandler):
    """Sends records to syslog; one that does not fit into a packet is spread over several, or cut.

    Records can be spread over UDP only; over TCP and Unix sockets a record above 1 MiB is cut. To learn the largest
    packet that leaves this machine whole, the first handler for a host sends it one datagram of ``#``, to port 9999.

    Attributes:
        maximum_length: size of the largest packet, in bytes.
        overflow: ``OVERFLOW_BEHAVIOR_FRAGMENT`` or ``OVERFLOW_BEHAVIOR_TRUNCATE``.
    """

    OVERFLOW_BEHAVIOR_FRAGMENT: ClassVar[int] = 0
    OVERFLOW_BEHAVIOR_TRUNCATE: ClassVar[int] = 1

    socket: Any  # the base class sets it; typeshed leaves it out

    _mtu_by_host: ClassVar[dict[tuple[str, AddressFamily], int]] = {}

    def __init__(
        self,
        address: tuple[str, int] | str = ("localhost", logging.handlers.SYSLOG_UDP_PORT),
        facility: int | str = logging.handlers.SysLogHandler.LOG_USER,
        socket_type: SocketKind | None = None,
        overflow: int = OVERFLOW_BEHAVIOR_FRAGMENT,
    ) -> None:
        super().__init__(address, facility, socket_type)
        if isinstance(address, str) or self.socktype != socket.SOCK_DGRAM:
            self.maximum_length = _MAXIMUM_LENGTH_OF_STREAMS
            self.overflow = self.OVERFLOW_BEHAVIOR_TRUNCATE
        else:
            family = getattr(self.socket, "family", socket.AF_INET)
            self.maximum_length = self._mtu(address[0], family) - _PACKET_OVERHEAD.get(family, 28)
            self.overflow = overflow

    def __del__(self) -> None:
        # Configurations make every handler that they name, and drop those that no logger uses without closing them.
        if getattr(self, "socket", None) is not None:
            self.socket.close()

    def emit(self, record: logging.LogRecord) -> None:
        """Format the record and send it, in as many packets as it takes."""
        try:
            message = self.format(record)
            head = f"<{self.encodePriority(self.facility, self.mapPriority(record.levelname))}>{self.ident}".encode()
            tail = b"\0" if self.append_nul else b""
            room = self.maximum_length - len(head) - len(tail)

            encoded = message.encode("utf-8", "backslashreplace")
            if len(encoded) < room:
                pieces = [encoded]
            elif self.overflow == self.OVERFLOW_BEHAVIOR_TRUNCATE:
                pieces = [self._cleanly_slice_encoded_string(encoded, room)[0]]
            else:
                pieces = self._fragments(message, record.getMessage(), room)

            self._send([head + piece + tail for piece in pieces])
        except Exception:  # the boundary of every logging handler: logging must not break what it tells about
            self.handleError(record)

    def _fragments(self, message: str, record_message: str, room: int) -> list[bytes]:
        """Cut a formatted record into pieces that each begin with what the formatter put before the message."""
        beginning = message.find(record_message[:40])
        if beginning >= 0:
            prefix, text = message[:beginning], message[beginning:]
        else:
            prefix, text = message[:30] + " ", message[30:]
        encoded_prefix = prefix.encode("utf-8", "backslashreplace")
        remainder = text.encode("utf-8", "backslashreplace")

        pieces: list[bytes] = []
        while remainder:
            start = encoded_prefix + (b"(cont'd #%d) ..." % (len(pieces) + 1) if pieces else b"")
            if len(start) + len(remainder) <= room:
                pieces.append(start + remainder)
                break
            end = b"... (cont'd)"
            # A prefix that leaves no room still lets the text pass, a character or so at a time.
            piece, remainder = self._cleanly_slice_encoded_string(remainder, max(room - len(start) - len(end), 4))
            pieces.append(start + piece + end)
        return pieces

    @staticmethod
    def _cleanly_slice_encoded_string(encoded_string: bytes, length_limit: int) -> tuple[bytes, bytes]:
        """Cut UTF-8 bytes in two, the first at most so long, without splitting a character."""
        if len(encoded_string) <= length_limit:
            return encoded_string, b""
        end = length_limit
        while end > 0 and encoded_string[end] & 0b1100_0000 == 0b1000_0000:
            end -= 1
        return encoded_string[:end], encoded_string[end:]

    def _send(self, parts: Iterable[bytes]) -> None:
        for part in parts:
            if not self.socket:
                self.createSocket()
            if self.unixsocket:
                self._send_to_unix_socket(part)
            elif self.socktype == socket.SOCK_DGRAM:
                self.socket.sendto(part, self.address)
            else:
                self.socket.sendall(part)

    def _send_to_unix_socket(self, part: bytes) -> None:
        try:
            self.socket.send(part)
        except OSError:  # the daemon has been started anew: the path now leads to another socket
            self.socket.close()
            self._connect_unixsocket(self.address)  # type: ignore[attr-defined]  # left out, too
            self.socket.send(part)

    @classmethod
    def _mtu(cls, host: str, family: AddressFamily) -> int:
        mtu = cls._mtu_by_host.get((host, family))
        if mtu is None:
            mtu = cls._mtu_by_host[(host, family)] = cls._probe_mtu(host, family)
        return mtu

    @staticmethod
    def _probe_mtu(host: str, family: AddressFamily) -> int:
        option = _DO_NOT_FRAGMENT.get((sys.platform, family))
        if option is None:
            return _SMALLEST_MTU
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.setsockopt(*option)
                probe.connect((host, _PROBED_PORT))
                for mtu in _MTUS_TO_TRY:
                    try:
                        probe.send(b"#" * (mtu - _PACKET_OVERHEAD[family]))
                    except OSError:
                        continue
                    return mtu
        except OSError:
            pass
        return _SMALLEST_MTU
