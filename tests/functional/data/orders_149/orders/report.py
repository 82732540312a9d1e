import pytz

from pysoa.client.client import Client
from pysoa.client.errors import CallActionError


def report(client: Client) -> str:
    try:
        placed = client.call_action("orders", "last_order").body["placed"]
    except CallActionError as error:
        [first] = error.actions[0].errors
        if first.message.startswith("Internal server error"):
            return "\n".join(each.traceback or "" for each in error.actions[0].errors)
        raise
    assert placed.tzinfo is pytz.UTC
    return placed.isoformat()
