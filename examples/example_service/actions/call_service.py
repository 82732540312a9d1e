"""The action ``call_service``."""

from typing import Any

from example_service import fields
from pysoa.client.errors import CallActionError
from pysoa.server.action import Action
from pysoa.server.errors import ActionError
from pysoa.server.types import EnrichedActionRequest


class CallServiceAction(Action):
    """Calls an action of another service and gives back what that answers."""

    request_schema = fields.Dictionary(
        {
            "service": fields.UnicodeString(description="The service to call; the settings say how it is reached"),
            "action": fields.UnicodeString(description="The action to call"),
            "body": fields.SchemalessDictionary(key_type=fields.UnicodeString(), description="What to give to it"),
        },
        optional_keys=("body",),
    )

    response_schema = fields.Dictionary(
        {"answer": fields.SchemalessDictionary(key_type=fields.UnicodeString(), description="What it answered")}
    )

    def run(self, request: EnrichedActionRequest) -> dict[str, Any]:
        # The client of a request passes its context on: correlation id, switches, and whatever callers have put in.
        try:
            response = request.client.call_action(
                request.body["service"], request.body["action"], request.body.get("body", {})
            )
        except CallActionError as error:
            raise ActionError(errors=error.actions[0].errors) from error
        return {"answer": response.body}
