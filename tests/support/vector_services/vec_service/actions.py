"""The actions of both services. Their names and descriptions are part of the vectors, so is the want of docstrings."""

from __future__ import annotations

import datetime
import decimal
import time
from collections.abc import Callable
from typing import Any

from pysoa.common.errors import Error
from pysoa.common.types import ActionResponse, Body
from pysoa.server.action.base import Action
from pysoa.server.action.status import BaseStatusAction, CheckMethodReturn
from pysoa.server.action.switched import SwitchedAction
from pysoa.server.errors import ActionError, JobError
from pysoa.server.types import EnrichedActionRequest
from tests.support.vectors import amount
from vec_service.fields import (
    Boolean,
    Dictionary,
    Integer,
    List,
    Nullable,
    SchemalessDictionary,
    UnicodeString,
)

Request = EnrichedActionRequest


class Echo(Action):
    """Echo docstring."""

    description = "Returns the request body unchanged"

    def run(self, request: Request) -> Body:
        return request.body


class Square(Action):
    description = "Squares an integer"
    request_schema = Dictionary({"number": Integer(description="What to square")})
    response_schema = Dictionary({"square": Integer()})

    def run(self, request: Request) -> Body:
        return {"square": request.body["number"] ** 2}


_LINE = Dictionary(
    {
        "sku": UnicodeString(min_length=1),
        "qty": Integer(gte=1, lte=99),
        "note": Nullable(UnicodeString()),
    },
    optional_keys=("note",),
)


class PlaceOrder(Action):
    """Adds up an order."""

    request_schema = Dictionary(
        {
            "order": Dictionary({"id": Integer(gt=0), "lines": List(_LINE, min_length=1, max_length=3)}),
            "dry_run": Boolean(),
            "tags": SchemalessDictionary(key_type=UnicodeString(), value_type=Integer()),
        },
        optional_keys=("dry_run", "tags"),
    )
    response_schema = Dictionary({"total": Integer()})

    def run(self, request: Request) -> Body:
        return {"total": sum(line["qty"] for line in request.body["order"]["lines"])}


class Fail(Action):
    def run(self, request: Request) -> Body:
        raise ActionError(
            [
                Error("TEAPOT", "short and stout", field="pot.lid", variables={"temp": 99}),
                Error("COLD", "no heat"),
            ]
        )


class FailServerSide(Action):
    def run(self, request: Request) -> Body:
        raise ActionError([Error("OURS", "our fault")], set_is_caller_error_to=False)


class FailKeep(Action):
    def run(self, request: Request) -> Body:
        errors = [
            Error("A", "a", denied_permissions=["p1", "p2"], is_caller_error=True),
            Error("B", "b", is_caller_error=False),
        ]
        raise ActionError(errors, set_is_caller_error_to=None)


class Explode(Action):
    def run(self, request: Request) -> Body:
        raise ValueError("kaboom é")


class BadResponse(Action):
    response_schema = Dictionary({"ok": Boolean(), "n": Integer()})

    def run(self, request: Request) -> Body:
        return {"ok": "yes", "extra": 1}


class Nothing(Action):
    def run(self, request: Request) -> None:
        return None


class ReturnsList(Action):
    def run(self, request: Request) -> Any:
        return [1, 2, 3]


class Unserializable(Action):
    def run(self, request: Request) -> Body:
        return {"thing": object()}


class Large(Action):
    request_schema = Dictionary({"size": Integer()})

    def run(self, request: Request) -> Body:
        return {"blob": "x" * request.body["size"]}


class Validated(Action):
    request_schema = Dictionary({"word": UnicodeString()})

    def validate(self, request: Request) -> None:
        if request.body["word"] != "please":
            raise ActionError([Error("RUDE", "say please", field="word")])

    def run(self, request: Request) -> Body:
        return {"thanks": True}


class ContextEcho(Action):
    def run(self, request: Request) -> Body:
        return {
            "context": request.context,
            "control": request.control,
            "switches": sorted(request.switches),
            "switch_5": request.switches.is_active(5),
            "action": request.action,
        }


class VariantA(Action):
    def run(self, request: Request) -> Body:
        return {"variant": "a"}


class VariantB(Action):
    request_schema = Dictionary({"need": Integer()})

    def run(self, request: Request) -> Body:
        return {"variant": "b"}


class VariantC(Action):
    description = "The default variant"

    def run(self, request: Request) -> Body:
        return {"variant": "c"}


class Switched(SwitchedAction):
    switch_to_action_map = ((7, VariantA), (11, VariantB), (SwitchedAction.DEFAULT_ACTION, VariantC))


class SwitchedNoDefault(SwitchedAction):
    switch_to_action_map = ((7, VariantA), (11, VariantC))


class RaiseJobError(Action):
    def run(self, request: Request) -> Body:
        raise JobError([Error("JOBBED", "whole job fails")])


def function_action(settings: Any) -> Callable[[Request], ActionResponse]:
    return lambda request: ActionResponse(request.action, body={"from": "function"})


def function_error_response(settings: Any) -> Callable[[Request], ActionResponse]:
    error = Error("SOFT", "returned, not raised")
    return lambda request: ActionResponse(request.action, errors=[error], body={"partial": 1})


class Types(Action):
    def run(self, request: Request) -> Body:
        return {
            "date": datetime.date(2018, 6, 25),
            "datetime": datetime.datetime(2018, 6, 25, 13, 14, 15, 250000),
            "time": datetime.time(13, 14, 15, 250000),
            "decimal": decimal.Decimal("19.990"),
            "amount": amount("EUR", 1050),
            "bytes": b"\x00\xff",
            "tuple": (1, 2),
            "float": 0.5,
            "none": None,
        }


class Chain(Action):
    def run(self, request: Request) -> Body:
        assert request.client is not None
        action = request.body.get("action", "context_echo")
        return {"inner": request.client.call_action("vec_b", action, {"via": "vec"}).body}


class ChainTolerant(Action):
    def run(self, request: Request) -> Body:
        assert request.client is not None
        errors = request.client.call_action("vec_b", "fail", raise_action_errors=False).errors
        return {"inner_errors": [{"code": error.code, "message": error.message} for error in errors]}


class LocalCall(Action):
    def run(self, request: Request) -> Body:
        return {"inner": request.call_local_action("square", {"number": request.body["n"]}).body}


class Sleep(Action):
    def run(self, request: Request) -> Body:
        until = time.monotonic() + request.body["seconds"]
        while time.monotonic() < until:
            time.sleep(0.05)
        return {}


class Status(BaseStatusAction):
    _version = "9.9.9"
    _build = "b-1"

    def check_disk(self, request: Request) -> CheckMethodReturn:
        self.diagnostics["free"] = 42
        return [(True, "DISK_FULL", "no space"), (False, "DISK_SLOW", "slow io")]

    def check_nothing(self, request: Request) -> CheckMethodReturn:
        return None
