"""Middleware of the service. It imports nothing of the applications: settings name it before Django is set up."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from pysoa.server.middleware import ServerMiddleware


class Atomic(ServerMiddleware):
    """One transaction for each job, which is rolled back where the job has failed."""

    def job(self, process_job: Any) -> Any:
        def process(request: Any) -> Any:
            with transaction.atomic():
                response = process_job(request)
                if any(action.errors for action in response.actions):
                    transaction.set_rollback(True)
                return response

        return process
