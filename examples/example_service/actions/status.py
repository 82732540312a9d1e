"""The action ``status``."""

import os

import example_service
from pysoa.server.action.status import BaseStatusAction, CheckMethodReturn
from pysoa.server.types import EnrichedActionRequest


class StatusAction(BaseStatusAction):
    """Tells the versions of the service and of what it stands on, and how the service is."""

    @property
    def _version(self) -> str:
        return example_service.__version__

    def check_load(self, request: EnrichedActionRequest) -> CheckMethodReturn:
        """Every method named ``check_...`` may report problems; each is a pair of a code and a text in the answer."""
        load = os.getloadavg()[0]
        self.diagnostics["load"] = round(load, 2)
        if load > 50 * (os.cpu_count() or 1):
            return [(False, "HIGH_LOAD", f"the machine is very busy: its load is {load:.0f}")]
        return None
