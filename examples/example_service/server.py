"""The server: the name of the service, and its actions."""

from example_service.actions.call_service import CallServiceAction
from example_service.actions.square import SquareAction
from example_service.actions.status import StatusAction
from example_service.actions.wait import WaitAction
from pysoa.server import Server as BaseServer


class Server(BaseServer):
    """Squares numbers, tells how it is, waits, and calls other services."""

    service_name = "example"

    action_class_map = {
        "call_service": CallServiceAction,
        "square": SquareAction,
        "status": StatusAction,
        "wait": WaitAction,
    }
