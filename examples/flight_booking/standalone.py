"""Runs the service: ``python -m flight_booking.standalone -s flight_booking.settings``."""

from pysoa.server.standalone import simple_main


def main() -> None:
    from flight_booking.server import Server

    simple_main(lambda: Server)


if __name__ == "__main__":
    main()
