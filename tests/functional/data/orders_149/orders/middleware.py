import logging
from collections.abc import Callable, Coroutine
from typing import Any

from conformity import fields

from pysoa.client.middleware import ClientMiddleware
from pysoa.common.compatibility import ContextVar
from pysoa.common.errors import Error
from pysoa.common.types import ActionResponse, JobRequest, JobResponse
from pysoa.server.coroutine import CoroutineMiddleware
from pysoa.server.errors import JobError
from pysoa.server.middleware import ServerMiddleware
from pysoa.server.types import EnrichedActionRequest, EnrichedJobRequest

logger = logging.getLogger(__name__)
signature = ContextVar("signature", default="nobody")


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
            response = process_job(job_request)
            response.context["served_for"] = job_request.context.get("user")
            return response

        return process


@fields.ClassConfigurationSchema.provider(fields.Dictionary({"stamp": fields.UnicodeString()}))
class StampActions(ServerMiddleware):
    def __init__(self, stamp: str) -> None:
        self.stamp = stamp

    def action(
        self, process_action: Callable[[EnrichedActionRequest], ActionResponse]
    ) -> Callable[[EnrichedActionRequest], ActionResponse]:
        def process(action_request: EnrichedActionRequest) -> ActionResponse:
            response = process_action(action_request)
            response.body["stamp"] = self.stamp
            return response

        return process


@fields.ClassConfigurationSchema.provider(fields.Dictionary({"caller": fields.UnicodeString()}))
class TellCaller(ClientMiddleware):
    def __init__(self, caller: str) -> None:
        self.caller = caller

    def request(self, send_request: Callable[..., None]) -> Callable[..., None]:
        def send(
            request_id: int, meta: dict[str, Any], job_request: JobRequest, message_expiry_in_seconds: int | None
        ) -> None:
            job_request.context["told_by"] = self.caller
            send_request(request_id, meta, job_request, message_expiry_in_seconds)

        return send

    def response(
        self, get_response: Callable[[int | None], tuple[int | None, JobResponse | None]]
    ) -> Callable[[int | None], tuple[int | None, JobResponse | None]]:
        def get(receive_timeout_in_seconds: int | None) -> tuple[int | None, JobResponse | None]:
            request_id, job_response = get_response(receive_timeout_in_seconds)
            if job_response is not None:
                logger.debug("debug messages are not for the console")
                logger.info("%s heard of %s", self.caller, [action.action for action in job_response.actions])
            return request_id, job_response

        return get


@fields.ClassConfigurationSchema.provider(fields.Dictionary({"signature": fields.UnicodeString()}))
class SignLetters(CoroutineMiddleware):
    def __init__(self, signature: str) -> None:
        self.signature = signature

    def before_run_coroutine(self) -> None:
        signature.set(self.signature)

    def coroutine(self, coroutine: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Any]:
        async def wrapped() -> Any:
            letter = await coroutine
            return f"{letter}."

        return wrapped()
