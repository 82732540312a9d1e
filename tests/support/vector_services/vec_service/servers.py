"""The two servers."""

from __future__ import annotations

from pysoa.server.server import Server
from vec_service import actions


class Vec(Server):
    """The vectors service."""

    service_name = "vec"
    action_class_map = {
        "echo": actions.Echo,
        "square": actions.Square,
        "place_order": actions.PlaceOrder,
        "fail": actions.Fail,
        "fail_server_side": actions.FailServerSide,
        "fail_keep": actions.FailKeep,
        "explode": actions.Explode,
        "bad_response": actions.BadResponse,
        "nothing": actions.Nothing,
        "returns_list": actions.ReturnsList,
        "unserializable": actions.Unserializable,
        "large": actions.Large,
        "validated": actions.Validated,
        "context_echo": actions.ContextEcho,
        "switched": actions.Switched,
        "switched_no_default": actions.SwitchedNoDefault,
        "raise_job_error": actions.RaiseJobError,
        "function_action": actions.function_action,
        "function_error_response": actions.function_error_response,
        "types": actions.Types,
        "chain": actions.Chain,
        "chain_tolerant": actions.ChainTolerant,
        "local_call": actions.LocalCall,
        "sleep": actions.Sleep,
    }


class VecB(Server):
    """The second vectors service."""

    service_name = "vec_b"
    action_class_map = {
        "context_echo": actions.ContextEcho,
        "fail": actions.Fail,
        "status": actions.Status,
    }


SERVERS = {server.service_name: server for server in (Vec, VecB)}
