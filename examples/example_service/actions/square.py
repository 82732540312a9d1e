"""The action ``square``."""

from typing import Any

from example_service import fields
from pysoa.server.action import Action
from pysoa.server.types import EnrichedActionRequest


class SquareAction(Action):
    """Multiplies a number by itself."""

    request_schema = fields.Dictionary({"number": fields.Integer(description="The number to square")})

    response_schema = fields.Dictionary({"square": fields.Integer(description="The number, times itself")})

    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        return {"square": request.body["number"] ** 2}
