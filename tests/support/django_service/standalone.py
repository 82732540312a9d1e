"""Starts the service. A supervisor tells at its end what its own connection still sees."""

from __future__ import annotations

import sys

from pysoa.server.standalone import django_main


def main() -> None:
    def get_server() -> object:
        from tests.support.django_service.server import Server

        return Server

    django_main(get_server)
    if "-f" in sys.argv:
        from tests.support.django_service.models import Note
        from tests.support.django_service.server import backend

        print(f"supervisor sees {Note.objects.count()} notes by connection {backend()}", flush=True)


if __name__ == "__main__":
    main()
