from __future__ import annotations

from django.db.backends.sqlite3 import base


class DatabaseWrapper(base.DatabaseWrapper):
    def _close(self) -> None:
        super()._close()
        raise ZeroDivisionError("it is closed all the same, so that none is left")
