from typing import Any

import attr
from conformity import fields

import orders
from pysoa.client.client import Client
from pysoa.common.types import Context
from pysoa.server.action import Action
from pysoa.server.action.status import BaseStatusAction
from pysoa.server.server import Server as BaseServer
from pysoa.server.settings import ServerSettings
from pysoa.server.types import EnrichedActionRequest


class OrdersSettings(ServerSettings):
    schema = {"order_limit": fields.Integer(gt=0)}
    defaults = {"order_limit": 10}


class Status(BaseStatusAction):
    _version = orders.__version__

    check_client_settings = BaseStatusAction._check_client_settings

    def check_disk(self, request: EnrichedActionRequest) -> None:
        self.diagnostics["free"] = "enough"


class PlaceOrder(Action):
    request_schema = fields.Dictionary({"lines": fields.List(fields.UnicodeString(), min_length=1)})

    def run(self, request: EnrichedActionRequest) -> dict[str, Any] | None:
        response = request.client.call_action("stock", "reserve", {"lines": request.body["lines"]}, timeout=2)
        return {"reserved": response.body["reserved"]}


@attr.s
class Request(EnrichedActionRequest):
    user = attr.ib(default=None)


class Server(BaseServer):
    service_name = "orders"
    settings_class = OrdersSettings
    request_class = Request
    action_class_map = {"status": Status, "place_order": PlaceOrder}

    def __init__(self, settings: OrdersSettings, forked_process_id: int | None = None) -> None:
        super().__init__(settings, forked_process_id)
        self.limit = settings["order_limit"]

    def make_client(self, context: Context, extra_context: Context | None = None, **kwargs: Any) -> Client:
        return super().make_client(context, {**(extra_context or {}), "by": "orders"}, **kwargs)
