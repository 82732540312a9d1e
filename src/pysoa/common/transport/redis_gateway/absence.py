"""Finds out, while a reply is awaited, that nobody serves, and takes the request back."""

from __future__ import annotations

import itertools
from typing import Final

from pysoa.common.clock import monotonic
from pysoa.common.transport.errors import ServiceUnavailable
from pysoa.common.transport.redis_gateway import presence
from pysoa.common.transport.redis_gateway.backend.base import Master
from pysoa.common.transport.redis_gateway.connection import BrokerError
from pysoa.common.transport.redis_gateway.mailbox import Mailbox
from pysoa.common.transport.redis_gateway.presence import Presence

__all__ = (
    "ASK_AFTER_SECONDS",
    "ASK_AGAIN_AFTER_SECONDS",
    "MISTRUST_IN_SECONDS",
    "MOST_SUSPICIOUS",
    "AbsenceWatch",
)

# A reply that is not there after so long makes it worth asking whether anybody serves at all.
ASK_AFTER_SECONDS: Final = 0.02
ASK_AGAIN_AFTER_SECONDS: Final = 0.25
_ASK_WHILE_WAITING_AFTER_SECONDS: Final = 1.0
MISTRUST_IN_SECONDS: Final = 300.0
_LOOK_UP_LIMIT_IN_SECONDS: Final = 0.25
_NEVER: Final = float("-inf")
MOST_SUSPICIOUS: Final = 256


class AbsenceWatch:
    """Knows when to ask whether the workers of one service have all gone.

    Quick replies cost no question, and slow services one now and then.
    """

    def __init__(self, service_name: str) -> None:
        self._service_name = service_name
        self._asked_at: dict[Master, float] = {}

    def suspect(
        self, mailbox: Mailbox, master: Master, queue_key: bytes, request_id: int, frame: bytes, now: float
    ) -> None:
        """Note a request that was sent, to take it back if no reply comes soon and nobody serves."""
        ask_at = max(now + ASK_AFTER_SECONDS, self._asked_at.get(master, _NEVER) + ASK_AGAIN_AFTER_SECONDS)
        suspicious = mailbox.suspicious
        if not suspicious or ask_at < mailbox.ask_at:
            mailbox.ask_at = ask_at
        if len(suspicious) >= MOST_SUSPICIOUS:  # somebody sends and never receives
            suspicious.clear()
        suspicious.append((request_id, master, queue_key, frame))

    def look(self, mailbox: Mailbox, until: float) -> None:
        """Take requests off the queue when the service's workers have all gone.

        Raises:
            ServiceUnavailable: some were still there: nobody will serve them.
        """
        now = monotonic()
        if now < mailbox.ask_at:
            return
        limit = min(until, now + _LOOK_UP_LIMIT_IN_SECONDS)
        mailbox.ask_at = now + _ASK_WHILE_WAITING_AFTER_SECONDS
        waiting = [item for item in mailbox.suspicious if item[0] in mailbox.outstanding]
        mailbox.suspicious = waiting
        for master, group in itertools.groupby(waiting, key=lambda item: item[1]):
            self._asked_at[master] = now
            if presence.look_up(master, self._service_name, limit) is not Presence.ABSENT:
                continue
            taken_back = [request_id for request_id, _, key, frame in group if _remove(master, key, frame, limit)]
            if taken_back:
                self._asked_at.clear()
                mailbox.suspicious = []
                for request_id in taken_back:
                    mailbox.outstanding.pop(request_id, None)
                raise ServiceUnavailable(f"no server of service {self._service_name!r} is running", outcome="not_sent")
            # Somebody serves without a word, as workers of the first PySOA do after a roll-back.
            self._asked_at[master] = now + MISTRUST_IN_SECONDS
            mailbox.suspicious = [item for item in mailbox.suspicious if item[1] is not master]


def _remove(master: Master, key: bytes, frame: bytes, until: float) -> bool:
    """Take a request off its queue again; False when a server has taken it, or when nobody can tell."""
    try:
        connection = master.take(until)
        try:
            return connection.ask(b"LREM", key, b"-1", frame, until=until) == 1
        finally:
            master.give_back(connection)
    except BrokerError:
        return False
