"""The server: the name of the service, and its actions."""

from flight_booking.actions import BookFlightAction, GetAvailableFlightsAction
from pysoa.server import Server as BaseServer


class Server(BaseServer):
    """Finds flights and books them."""

    service_name = "flight_booking"

    action_class_map = {
        "get_available_flights": GetAvailableFlightsAction,
        "book_flight": BookFlightAction,
    }
