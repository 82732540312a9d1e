"""A service that tells what is done with it, for tests of the command line; it needs no broker.

Run it with ``python -m tests.support.row_service -s tests.support.row_settings -f 2``. It is a ``lone_server`` without
calls. With ``ROW_SIGNATURES`` set to ``0.42`` its ``main`` and its constructor take no number of a worker. With
``ROW_DIRECTLY`` set it is started by ``Server.main``.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
from typing import Any

from pysoa.server.server import Server
from pysoa.server.settings import ServerSettings
from pysoa.server.standalone import simple_main
from tests.support.lone_server import LoneServer, say


class RowSettings(ServerSettings):
    def __init__(self, data: Any) -> None:
        super().__init__(data)
        say(f"{os.getpid()} checked settings")


class RowServer(LoneServer):
    service_name = "row"
    settings_class = RowSettings

    def __init__(self, settings: Any, forked_process_id: int | None = None) -> None:
        say(f"{os.getpid()} made with {forked_process_id} in {multiprocessing.current_process().name}")
        super().__init__(settings, forked_process_id)

    @classmethod
    def initialize(cls, settings: Any) -> type[Server]:
        say(f"{os.getpid()} initialized, parent {os.getppid()}")
        return cls

    @classmethod
    def pre_fork(cls) -> None:
        say(f"{os.getpid()} pre_fork")

    def setup(self) -> None:
        say(f"{os.getpid()} setup")


class OldServer(RowServer):
    def __init__(self, settings: Any) -> None:
        super().__init__(settings)

    @classmethod
    def main(cls) -> None:  # type: ignore[override]
        super().main()


if __name__ == "__main__":
    # Under its own name: settings name the transport by that.
    name = "OldServer" if os.environ.get("ROW_SIGNATURES") == "0.42" else "RowServer"
    server: Any = getattr(importlib.import_module("tests.support.row_service"), name)
    if "ROW_DIRECTLY" in os.environ:
        server.main()
    else:
        simple_main(lambda: server)
    say(f"{os.getpid()} returned")
