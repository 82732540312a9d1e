"""How a server reports: its log, its metrics, and the responses that tell of what went wrong."""

from __future__ import annotations

import logging
import operator
import os
import traceback
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from pysoa.common.constants import ERROR_CODE_RESPONSE_NOT_SERIALIZABLE, ERROR_CODE_RESPONSE_TOO_LARGE
from pysoa.common.errors import Error
from pysoa.common.instruments import NO_METRICS, NoOpMetricsRecorder, Recorder, Timer, timer_maker
from pysoa.common.logging import RecursivelyCensoredDictWrapper, printable
from pysoa.common.plugins import make_recorder
from pysoa.common.serializer.errors import InvalidField
from pysoa.common.transport.base import ServerTransport
from pysoa.common.transport.errors import MessageTooLarge, PySOATransportError
from pysoa.common.types import ActionResponse, Body, JobResponse, job_response_message
from pysoa.server import jobs
from pysoa.server.internal.faults import FaultLog
from pysoa.server.internal.forks import with_fork_id
from pysoa.server.internal.log_limit import LogLimit, log_limit
from pysoa.server.settings import ServerSettings

__all__ = ("ExceptionReport", "ServerReports")

Response = TypeVar("Response", JobResponse, ActionResponse)

_LONGEST_TEXT: Final = 2000  # two of them, with characters of four bytes, fit into a line
_ERRORS = operator.attrgetter("errors")


class ExceptionReport:
    """The texts of an exception; users' ``__str__`` and ``__repr__`` may fail, reports do not.

    Args:
        exception: what was raised.
        variables: what helps to understand it, by name.
        record: called with the name of a metric when a text could not be made.

    Attributes:
        text: of the exception; something in its place where ``has_text`` is False.
        variables: the ``repr`` of each, a text that says that they could not be had, or None without any.
    """

    def __init__(
        self, exception: BaseException, variables: Mapping[str, Any] | None, record: Callable[[str], object]
    ) -> None:
        self._exception = exception
        self.has_text = True
        try:
            self.text = str(exception)
        except Exception:  # boundary: a user's exception
            record("server.error.error_formatting_failure")
            self.has_text = False
            self.text = "Error formatting error"
        self.variables: dict[str, str] | str | None = None
        if variables is not None:
            try:
                self.variables = {name: repr(value) for name, value in variables.items()}
            except Exception:  # boundary: a user's repr
                record("server.error.variable_formatting_failure")
                self.variables = "Error formatting variables"

    def message(self) -> object:
        """What a log record is to say: the exception, or its text made fit for a line where that is needed."""
        text = printable(self.text, _LONGEST_TEXT)
        return self._exception if self.has_text and text == self.text else text

    def traceback(self) -> str:
        """The traceback, as Python prints it."""
        return "".join(traceback.format_exception(self._exception))

    def log_under_id(self, logger: logging.Logger) -> str:
        """Log everything under a new id.

        Returns:
            The id, for the caller to name.
        """
        error_id = os.urandom(6).hex()
        logger.exception(
            "Internal server error (error id %s): %s%s",
            error_id,
            printable(self.text, _LONGEST_TEXT),
            "" if self.variables is None else f"; variables: {printable(str(self.variables), _LONGEST_TEXT)}",
            exc_info=self._exception,
            extra={"data": {"error_id": error_id, "variables": self.variables}},
        )
        return error_id


class ServerReports:
    """The part of a server that reports; its public methods are hooks of ``Server``.

    Attributes:
        metrics: the metrics recorder.
        logger: for what happens to the server.
        job_logger: for requests and responses.
        request_log_success_level: the level of requests, and of responses without errors.
        request_log_error_level: the level of responses with errors.
        logging_dict_wrapper_class: what requests and responses are wrapped in for logging, to be censored.
    """

    settings: ServerSettings
    transport: ServerTransport

    def _prepare_reports(self, settings: ServerSettings, forked_process_id: int | None) -> None:
        recorder = make_recorder(with_fork_id(settings["metrics"], forked_process_id))
        self.metrics: Recorder = NO_METRICS if type(recorder) is NoOpMetricsRecorder else recorder
        self.logger = logging.getLogger("pysoa.server")
        self.job_logger = logging.getLogger("pysoa.server.job")
        levels = logging.getLevelNamesMapping()
        self.request_log_success_level = levels[settings["request_log_success_level"]]
        self.request_log_error_level = levels[settings["request_log_error_level"]]
        extra_fields = frozenset(settings["extra_fields_to_redact"])

        class DictWrapper(RecursivelyCensoredDictWrapper):
            SENSITIVE_FIELDS = RecursivelyCensoredDictWrapper.SENSITIVE_FIELDS | extra_fields

        self.logging_dict_wrapper_class: type[RecursivelyCensoredDictWrapper] = DictWrapper
        self._faults = FaultLog(self.logger)
        self._log_limit = LogLimit(log_limit(settings))
        self._new_timer = timer_maker(self.metrics)
        self._idle_timer: Timer | None = None

    def handle_unhandled_exception(
        self,
        exception: Exception,
        response_type: type[Response],
        variables: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Response:
        """Log an exception and make a response of it.

        Over a network, the caller gets an error id, which is in the log, unless the setting ``error_detail`` is
        ``full``. In the same process, or with that setting, it gets the exception's text, the traceback and the
        ``repr`` of the variables.

        Args:
            exception: what was raised.
            response_type: ``JobResponse`` or ``ActionResponse``.
            variables: what helps to understand it, by name.
            kwargs: further arguments for the response type, such as ``action``.
        """
        self._record("server.error.unhandled_error")
        report = ExceptionReport(exception, variables, self._record)
        if self.settings.get("error_detail") == "full" or self.transport.is_local:
            self.logger.exception(report.message(), exc_info=exception)
            error = jobs.internal_error(report.text, report.traceback(), report.variables)
        else:
            error = jobs.redacted_error(report.log_under_id(self.logger))
        return response_type(errors=[error], **kwargs)

    def handle_job_error_code(
        self,
        code: str,
        message: str,
        request_for_logging: Body,
        response_for_logging: Body,
        extra: Mapping[str, Any] | None = None,
    ) -> JobResponse:
        """Log why a response cannot be sent, and make the one that is sent instead.

        Args:
            code: of its error.
            message: of its error, and of the log record.
            request_for_logging: the request; it and the response are in the record's ``data``, censored.
            response_for_logging: the response that cannot be sent.
            extra: more for ``data``.
        """
        data = {
            "request": self._loggable(request_for_logging),
            "response": self._loggable(response_for_logging),
            **(extra or {}),
        }
        self.logger.exception(message, extra={"data": data})
        return JobResponse([Error(code, message)])

    def _log_request(self, job_request: Body, now: float) -> None:
        self._log_left_out(now)
        self.job_logger.log(self.request_log_success_level, "Job request: %s", self._loggable(job_request))

    def _log_response(self, job_request: Body, message: Body, *, failed: bool, request_is_logged: bool) -> None:
        """Log a response; with its request where that was not, for it has failed."""
        job_logger = self.job_logger
        level = self.request_log_error_level if failed else self.request_log_success_level
        if job_logger.isEnabledFor(level):
            if not request_is_logged:
                job_logger.log(level, "Job request: %s", self._loggable(job_request))
            job_logger.log(level, "Job response: %s", self._loggable(message))

    def _log_left_out(self, now: float) -> None:
        if left_out := self._log_limit.left_out(now):
            text = "Left %d requests without errors out of the log (setting request_log_limit)"
            self.job_logger.log(self.request_log_success_level, text, left_out)

    def _message_of(self, job_response: JobResponse, meta: dict[str, Any]) -> tuple[Body, bool]:
        """The body of the response's message, and whether it has errors."""
        version = jobs.client_version(meta)
        try:
            message = job_response_message(job_response, version)
            return message, bool(job_response.errors) or any(map(_ERRORS, job_response.actions))
        except Exception as error:  # boundary: middleware may return anything
            self._record("server.error.response_conversion_failure")
            variables = {"job_response": job_response}
            job_response = self.handle_unhandled_exception(error, JobResponse, variables=variables)
            return job_response_message(job_response, version), True

    def _replacement(self, error: Exception, job_request: Body, message: Body) -> JobResponse | None:
        """What is sent in the place of a response that cannot be sent; None where nothing can be."""
        if isinstance(error, MessageTooLarge):
            self._record("server.error.response_too_large")
            extra = {"serialized_length_in_bytes": error.message_size_in_bytes}
            code, text = ERROR_CODE_RESPONSE_TOO_LARGE, jobs.RESPONSE_TOO_LARGE
            return self.handle_job_error_code(code, text, job_request, message, extra=extra)
        if isinstance(error, InvalidField):
            self._record("server.error.response_not_serializable")
            code, text = ERROR_CODE_RESPONSE_NOT_SERIALIZABLE, jobs.RESPONSE_NOT_SERIALIZABLE
            return self.handle_job_error_code(code, text, job_request, message)
        if isinstance(error, PySOATransportError):
            self._faults.note("Dropped a response that cannot be sent", error)
            return None
        return self.handle_unhandled_exception(error, JobResponse)

    def _job_timeout(self) -> JobResponse:
        self._record("server.error.harakiri", harakiri_level="job")
        return JobResponse([jobs.job_timeout_error()])

    def _loggable(self, message: Any) -> Any:
        return self.logging_dict_wrapper_class(message) if isinstance(message, dict) else printable(repr(message))

    def _record(self, event: str, **tags: Any) -> None:
        if self.metrics is not NO_METRICS:
            self.metrics.counter(event, **tags).increment()

    def _record_state(self, *, is_running: bool, is_busy: bool) -> None:
        if self.metrics is NO_METRICS:
            return
        self._end_idle_time()
        self.metrics.gauge("server.worker.running").set(int(is_running))
        self.metrics.gauge("server.worker.busy").set(int(is_busy))
        self.metrics.publish_all()

    def _begin_idle_time(self) -> None:
        """The worker has nothing to do from now on."""
        if self.metrics is not NO_METRICS and self._idle_timer is None:
            self._idle_timer = self._new_timer("server.idle_time")
            self._idle_timer.start()

    def _end_idle_time(self) -> None:
        timer, self._idle_timer = self._idle_timer, None
        if timer is not None:
            timer.stop()
