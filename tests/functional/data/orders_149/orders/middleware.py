from collections.abc import Callable

from conformity import fields

from pysoa.common.errors import Error
from pysoa.common.types import JobResponse
from pysoa.server.errors import JobError
from pysoa.server.middleware import ServerMiddleware
from pysoa.server.types import EnrichedJobRequest


@fields.ClassConfigurationSchema.provider(fields.Dictionary({"exempt": fields.List(fields.UnicodeString())}))
class RequireUser(ServerMiddleware):
    def __init__(self, exempt: list[str]) -> None:
        self.exempt = exempt

    def job(
        self, process_job: Callable[[EnrichedJobRequest], JobResponse]
    ) -> Callable[[EnrichedJobRequest], JobResponse]:
        def process(job_request: EnrichedJobRequest) -> JobResponse:
            names = {action.action for action in job_request.actions}
            if not job_request.context.get("user") and not names <= set(self.exempt):
                raise JobError([Error(code="NO_USER", message="the context has no user")], set_is_caller_error_to=True)
            return process_job(job_request)

        return process
