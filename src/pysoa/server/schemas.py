"""The schemas of incoming job requests.

They name every fault of a malformed job. Telling sound jobs from malformed ones is done faster in ``server.jobs``.
"""

from __future__ import annotations

from typing import Final

from pysoa.common.fields import Boolean, Dictionary, Integer, List, SchemalessDictionary, UnicodeString

__all__ = ("ActionRequestSchema", "ContextHeaderSchema", "ControlHeaderSchema", "JobRequestSchema")

ControlHeaderSchema: Final = Dictionary(
    {
        "continue_on_error": Boolean(description="Whether the job goes on after an action that failed"),
        "suppress_response": Boolean(description="Whether nothing is sent back"),
    },
    optional_keys=("suppress_response",),
    allow_extra_keys=True,
)

ContextHeaderSchema: Final = Dictionary(
    {
        "correlation_id": UnicodeString(description="Ties together all calls of one origin"),
        "switches": List(Integer(), description="The switches that are active"),
        "caller": UnicodeString(description="Who calls, as callers say; for information"),
        "calling_service": UnicodeString(description="The service that calls, as callers say; for information"),
    },
    optional_keys=("caller", "calling_service"),
    allow_extra_keys=True,
)

ActionRequestSchema: Final = Dictionary(
    {
        "action": UnicodeString(description="The name of the action"),
        "body": SchemalessDictionary(key_type=UnicodeString(), description="What the action is given"),
    },
    optional_keys=("body",),
)

JobRequestSchema: Final = Dictionary(
    {
        "control": ControlHeaderSchema,
        "context": ContextHeaderSchema,
        "actions": List(ActionRequestSchema, min_length=1, description="The calls, served in this order"),
    },
)
