"""Keeps the orders of customers."""

import asyncio
import enum
import logging
from typing import Any

import attr
from conformity import fields

import orders
from orders.middleware import signature
from pysoa.client.client import Client
from pysoa.client.errors import CallActionError
from pysoa.common.errors import Error
from pysoa.common.types import Context
from pysoa.server.action import Action
from pysoa.server.action.status import BaseStatusAction, CheckMethodReturn, CheckMethodStatus
from pysoa.server.action.switched import SwitchedAction
from pysoa.server.errors import ActionError
from pysoa.server.server import Server as BaseServer
from pysoa.server.settings import ServerSettings
from pysoa.server.types import EnrichedActionRequest

logger = logging.getLogger(__name__)

ORDERS = {
    1: {"_type": "order", "id": 1, "item_id": 10},
    2: {"_type": "order", "id": 2, "item_id": 20},
    3: {"_type": "order", "id": 3, "item_id": 10},
}


class Switch(enum.Enum):
    GROSS_PRICES = 7


class OrdersSettings(ServerSettings):
    schema = {"order_limit": fields.Integer(gt=0)}
    defaults = {"order_limit": 10}


@attr.s
class Request(EnrichedActionRequest):
    user = attr.ib(default=None)


class Status(BaseStatusAction):
    _version = orders.__version__
    _build = "149"

    check_client_settings = BaseStatusAction._check_client_settings

    def check_disk(self, request: EnrichedActionRequest) -> CheckMethodReturn:
        self.diagnostics["free"] = "enough"
        return None

    def check_stamps(self, request: EnrichedActionRequest) -> CheckMethodReturn:
        return [
            CheckMethodStatus(is_error=False, code="STAMPS_LOW", description="a few stamps are left"),
            (True, "INK_DRY", "the ink is dry"),
        ]


class PlaceOrder(Action):
    """Places an order."""

    request_schema = fields.Dictionary(
        {
            "lines": fields.List(fields.UnicodeString(), min_length=1, description="What is ordered"),
            "iban": fields.UnicodeString(),
        },
        optional_keys=("iban",),
    )
    response_schema = fields.Dictionary(
        {
            "reserved": fields.List(fields.UnicodeString()),
            "audited_for": fields.Nullable(fields.UnicodeString()),
            "told_by": fields.UnicodeString(),
            "user": fields.Any(fields.Constant("nobody"), fields.UnicodeString()),
        }
    )

    def validate(self, request: EnrichedActionRequest) -> None:
        if len(request.body["lines"]) > self.settings["order_limit"]:
            raise ActionError([Error(code="TOO_LONG", message="that is too much", field="lines")])

    def run(self, request: EnrichedActionRequest) -> dict[str, Any] | None:
        logger.info("placing an order")
        try:
            response = request.client.call_action(
                "warehouse", "reserve", {"skus": request.body["lines"]}, timeout=10
            )
        except CallActionError as error:
            raise ActionError(error.actions[0].errors) from error
        return {**response.body, "user": request.context["user"]}


class GetOrders(Action):
    request_schema = fields.Dictionary({"ids": fields.List(fields.Integer(gte=1))}, optional_keys=["ids"])
    response_schema = fields.Dictionary({"orders": fields.SchemalessDictionary(fields.Integer(), fields.Anything())})

    def run(self, request: EnrichedActionRequest) -> dict[str, Any] | None:
        ids = request.body.get("ids", list(ORDERS))
        return {"orders": {id_: dict(ORDERS[id_]) for id_ in ids if id_ in ORDERS}}


class CountOrders(Action):
    def run(self, request: EnrichedActionRequest) -> dict[str, Any] | None:
        response = request.call_local_action("get_orders", {})
        missing = request.call_local_action("no_such_action", {}, raise_action_errors=False)
        return {"count": len(response.body["orders"]), "missing": missing.errors[0].code, "class": type(request).__name__}


class NetPrice(Action):
    """The price without tax."""

    request_schema = fields.Dictionary({"cents": fields.Integer()})

    def run(self, request: EnrichedActionRequest) -> dict[str, Any] | None:
        return {"cents": request.body["cents"], "gross": False}


class GrossPrice(NetPrice):
    """The price with tax."""

    def run(self, request: EnrichedActionRequest) -> dict[str, Any] | None:
        return {"cents": request.body["cents"] * 119 // 100, "gross": request.switches.is_active(Switch.GROSS_PRICES)}


class Quote(SwitchedAction):
    switch_to_action_map = (
        (Switch.GROSS_PRICES, GrossPrice),
        (SwitchedAction.DEFAULT_ACTION, NetPrice),
    )


class WriteLetter(Action):
    def run(self, request: EnrichedActionRequest) -> dict[str, Any] | None:
        future = request.run_coroutine(self.write(request.body["to"]))
        return {"letter": future.result(timeout=10)}

    async def write(self, to: str) -> str:
        await asyncio.sleep(0)
        return f"Dear {to}, yours, {signature.get()}"


class Break(Action):
    def run(self, request: EnrichedActionRequest) -> dict[str, Any] | None:
        raise ValueError("broken")


class Server(BaseServer):
    """The orders of a shop."""

    service_name = "orders"
    settings_class = OrdersSettings
    request_class = Request
    action_class_map = {
        "status": Status,
        "place_order": PlaceOrder,
        "get_orders": GetOrders,
        "count_orders": CountOrders,
        "quote": Quote,
        "write_letter": WriteLetter,
        "break": Break,
    }

    def __init__(self, settings: OrdersSettings, forked_process_id: int | None = None) -> None:
        super().__init__(settings, forked_process_id)
        self.limit = settings["order_limit"]

    @classmethod
    def pre_fork(cls) -> None:
        super().pre_fork()
        print("orders are about to fork", flush=True)

    def setup(self) -> None:
        super().setup()
        logger.info("orders are open, up to %d lines", self.limit)

    def teardown(self) -> None:
        logger.info("orders are closed")
        super().teardown()

    def perform_post_request_actions(self) -> None:
        super().perform_post_request_actions()
        self.metrics.counter("requests").increment()

    def make_client(self, context: Context, extra_context: Context | None = None, **kwargs: Any) -> Client:
        return super().make_client(context, {**(extra_context or {}), "by": "orders"}, **kwargs)
