"""What became of a call."""

import msgspec

from proxy import errors
from proxy.errors import Outcome
from proxy.gateway import headers
from proxy.gateway.call.responses import JSON, Response, proxy_error_response
from proxy.gateway.headers import Header
from proxy.gateway.upstream.upstream import Answer
from proxy.withdrawn import run_workflows, trigger
from proxy.withdrawn.trigger import LegacyResponse


class CallResult(msgspec.Struct, frozen=True, gc=False):
    """What became of a call.

    Attributes:
        status: of the response to the caller.
        upstream_status: of the service's response.
        answer: what the service's response says, as the caller gets it.
        response: the whole response, to be sent; None if it was streamed.
    """

    outcome: Outcome
    status: int
    upstream_status: int | None = None
    error_code: str | None = None
    answer: LegacyResponse | None = None
    response: Response | None = None

    @property
    def run(self) -> LegacyResponse | None:
        """The run that was started or found, if any."""
        return self.answer if self.answer is not None and self.answer.has_run else None


INTERRUPTED = CallResult("interrupted", 500)
"""Until more is known."""


def streamed(status: int) -> CallResult:
    """The service's response has started, and is passed on as it arrives."""
    return CallResult(_outcome_of(status), status, status)


def translated(answer: Answer, request_id: str) -> CallResult:
    """The response to a trigger, translated."""
    try:
        legacy = trigger.to_legacy(answer.status, answer.decoded())
    except errors.UpstreamError as error:
        return failed(error, request_id, starts_run=True, answer=answer, kept=headers.error_headers(answer.headers))
    except errors.ProxyError as error:
        return failed(error, request_id, starts_run=True, answer=answer)
    if not legacy.is_error:
        return _with_run(legacy, request_id, "forwarded", answer.status)
    fields = [JSON, *_identified(headers.error_headers(answer.headers), request_id)]
    response = Response(answer.status, fields, legacy.body)
    return CallResult("upstream_error", answer.status, answer.status, legacy.error_code, legacy, response)


def unchanged(answer: Answer, request_id: str) -> CallResult:
    """The response to a call that starts a run and is not translated, byte for byte."""
    if not 200 <= answer.status <= 599:
        error = errors.InvalidAnswer(f"The service answered with status {answer.status}.")
        return failed(error, request_id, starts_run=True, answer=answer)
    try:
        legacy = run_workflows.to_legacy(answer.status, answer.decoded())
    except errors.ProxyError:  # it cannot be decoded here, but perhaps by the caller
        legacy = LegacyResponse(answer.status, answer.body)
    fields = [header for header in headers.response_headers(answer.headers) if header[0] != b"content-length"]
    response = Response(answer.status, _identified(fields, request_id), answer.body)
    return CallResult(_outcome_of(answer.status), answer.status, answer.status, legacy.error_code, legacy, response)


def redelivered(run: LegacyResponse, request_id: str) -> CallResult:
    """The run that a lost try of the same call has started."""
    return _with_run(run, request_id, "redelivered")


def failed(
    error: errors.ProxyError,
    request_id: str,
    *,
    starts_run: bool = False,
    answer: Answer | None = None,
    kept: list[Header] | None = None,
) -> CallResult:
    """An error of the proxy's own.

    Args:
        error: the error.
        request_id: ID of the call.
        starts_run: whether the call would have started a run.
        answer: the service's response, if there was a whole one.
        kept: headers of it that the caller gets.
    """
    response = proxy_error_response(error, request_id, starts_run=starts_run, kept=kept)
    upstream_status = answer.status if answer is not None else error.upstream_status
    return CallResult(error.outcome, error.status, upstream_status, error.code, response=response)


def _with_run(run: LegacyResponse, request_id: str, outcome: Outcome, upstream_status: int | None = None) -> CallResult:
    response = Response(run.status, [JSON, (b"x-request-id", request_id.encode())], run.body)
    return CallResult(outcome, run.status, upstream_status, answer=run, response=response)


def _identified(fields: list[Header], request_id: str) -> list[Header]:
    """The headers, with the ID of the call unless the service has set one."""
    if headers.first(fields, b"x-request-id") is None:
        fields.append((b"x-request-id", request_id.encode()))
    return fields


def _outcome_of(status: int) -> Outcome:
    return "forwarded" if status < 400 else "upstream_error"
