"""What became of a call, with the response that its caller gets."""

import msgspec
from starlette import responses
from starlette.types import Message, Receive, Scope, Send

from proxy import errors
from proxy.errors import Outcome
from proxy.gateway import headers
from proxy.gateway.headers import Header
from proxy.gateway.upstream.upstream import Answer
from proxy.withdrawn import run_workflows, trigger
from proxy.withdrawn.trigger import LegacyResponse

JSON: Header = (b"content-type", b"application/json")


class Response(responses.Response):
    """A starlette response with headers of bytes: the service's are passed on as they are.

    Args:
        reason: the reason phrase; None for the usual one.
    """

    def __init__(self, status: int, fields: list[Header], body: bytes, reason: str | None = None) -> None:
        self.status_code = status
        self.body = body
        self.raw_headers = [*fields, (b"content-length", b"%d" % len(body))]
        self.background = None
        self._reason = reason

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - an ASGI application
        """Send it. Only the proxy's own server knows the key ``reason``; others ignore it, as ASGI asks them to."""
        start: Message = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        if self._reason is not None:
            start["reason"] = self._reason.encode("ascii")
        await send(start)
        await send({"type": "http.response.body", "body": self.body})


class CallResult(msgspec.Struct, frozen=True, gc=False):
    """What became of a call.

    Attributes:
        status: of the response to the caller.
        upstream_status: of the service's response.
        answer: what the service's response says, as the caller gets it.
        response: the whole response to the caller; None if it is streamed.
    """

    outcome: Outcome
    status: int
    upstream_status: int | None = None
    error_code: str | None = None
    answer: LegacyResponse | None = None
    response: Response | None = None

    @property
    def run(self) -> LegacyResponse | None:
        """The answer if it has a run."""
        return self.answer if self.answer is not None and self.answer.has_run else None


INTERRUPTED = CallResult("interrupted", 500)
"""Until more is known."""


def streamed(status: int) -> CallResult:
    """The service's response has started, and is passed on as it arrives.

    Raises:
        errors.InvalidAnswer: a final response cannot have this status.
    """
    _check_status(status)
    return CallResult(_outcome_of(status), status, status)


def started(run: LegacyResponse, request_id: str, outcome: Outcome, upstream_status: int | None = None) -> CallResult:
    """A run, from this call or from its lost try."""
    response = Response(run.status, [JSON, (b"x-request-id", request_id.encode())], run.body)
    return CallResult(outcome, run.status, upstream_status, answer=run, response=response)


def translated(answer: Answer, request_id: str) -> CallResult:
    """The response to a trigger, translated."""
    try:
        legacy = trigger.to_legacy(answer.status, answer.decoded())
    except errors.ProxyError as error:
        error.upstream_status = answer.status
        kept = headers.error_headers(answer.headers) if isinstance(error, errors.UpstreamError) else []
        return failed(error, request_id, starts_run=True, kept=kept)
    if not legacy.is_error:
        return started(legacy, request_id, "forwarded", answer.status)
    response = Response(
        answer.status, identified([JSON, *headers.error_headers(answer.headers)], request_id), legacy.body
    )
    return CallResult("upstream_error", answer.status, answer.status, legacy.error_code, legacy, response)


def unchanged(answer: Answer, request_id: str) -> CallResult:
    """The response to a call that starts a run and is not translated, byte for byte."""
    try:
        _check_status(answer.status)
    except errors.InvalidAnswer as error:
        error.upstream_status = answer.status
        return failed(error, request_id, starts_run=True)
    try:
        legacy = run_workflows.to_legacy(answer.status, answer.decoded())
    except errors.ProxyError:  # it cannot be decoded here, but perhaps by the caller
        legacy = LegacyResponse(answer.status, answer.body)
    fields = [header for header in headers.response_headers(answer.headers) if header[0] != b"content-length"]
    response = Response(answer.status, identified(fields, request_id), answer.body)
    return CallResult(_outcome_of(answer.status), answer.status, answer.status, legacy.error_code, legacy, response)


def failed(
    error: errors.ProxyError, request_id: str, *, starts_run: bool = False, kept: list[Header] | None = None
) -> CallResult:
    """An error of the proxy's own; the arguments are those of `proxy_error_response`."""
    response = proxy_error_response(error, request_id, starts_run=starts_run, kept=kept)
    return CallResult(error.outcome, error.status, error.upstream_status, error.code, response=response)


def proxy_error_response(
    error: errors.ProxyError, request_id: str, *, starts_run: bool = False, kept: list[Header] | None = None
) -> Response:
    """The response to a call that failed.

    Args:
        error: the error.
        request_id: ID of the call.
        starts_run: whether the call would have started a run.
        kept: headers of the service's response. Its request ID is left out, because the body has ours.
    """
    fields = [JSON, (b"proxy-status", error.proxy_status().encode()), (b"x-request-id", request_id.encode())]
    if error.status == 410:  # 410 is cacheable by default (RFC 9110, section 15.5.11), but this one is for one caller
        fields.append((b"cache-control", b"no-store"))
    if error.retry_after is not None:
        fields.append((b"retry-after", b"%d" % error.retry_after))
    fields += [header for header in kept or [] if header[0] != b"x-request-id"]
    return Response(error.status, fields, error.body(request_id, starts_run=starts_run), error.reason)


def identified(fields: list[Header], request_id: str) -> list[Header]:
    """The headers, with the ID of the call unless the service has set one."""
    is_set = headers.first(fields, b"x-request-id") is not None
    return fields if is_set else [*fields, (b"x-request-id", request_id.encode())]


def _check_status(status: int) -> None:
    if not 200 <= status <= 599:
        raise errors.InvalidAnswer(f"The service answered with status {status}.")


def _outcome_of(status: int) -> Outcome:
    return "forwarded" if status < 400 else "upstream_error"
