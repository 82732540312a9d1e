"""The action ``wait``."""

import asyncio
from typing import Any

from example_service import fields
from pysoa.server.action import Action
from pysoa.server.types import EnrichedActionRequest


class WaitAction(Action):
    """Waits, as actions do that call other services; with an asyncio loop the server runs other jobs meanwhile."""

    request_schema = fields.Dictionary({"seconds": fields.Float(gte=0, lte=10, description="How long to wait")})

    response_schema = fields.Dictionary({"waited": fields.Float(description="How long that was")})

    async def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        await asyncio.sleep(request.body["seconds"])
        return {"waited": request.body["seconds"]}
