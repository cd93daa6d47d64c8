"""The whole answers that callers get, and what their records say of each."""

from proxy import errors
from proxy.callers.record import CallRecord
from proxy.gateway import headers
from proxy.gateway.call.accounting import outcome_of
from proxy.gateway.call.asgi import JSON, Response, proxy_error_response
from proxy.gateway.headers import Header
from proxy.gateway.upstream.upstream import Answer
from proxy.withdrawn import run_workflows, trigger
from proxy.withdrawn.trigger import LegacyResponse


def translated(answer: Answer, record: CallRecord) -> tuple[LegacyResponse | None, Response]:
    """The run that a trigger has started, if any, and what its caller gets.

    Raises:
        errors.ProxyError: the answer is no run and no error.
    """
    try:
        legacy = trigger.to_legacy(answer.status, answer.decoded())
    except errors.UpstreamError as error:
        return None, failed(error, record, starts_run=True, kept=headers.error_headers(answer.headers))
    if legacy.is_error:
        return None, refused(legacy, record, headers.error_headers(answer.headers))
    return legacy, delivered(legacy, record, "forwarded")


def as_it_came(answer: Answer, record: CallRecord) -> tuple[LegacyResponse | None, Response]:
    """The run that an answer has, if any, and the same answer, byte for byte.

    Raises:
        errors.InvalidAnswer: its status cannot be.
    """
    if not 200 <= answer.status <= 599:
        raise errors.InvalidAnswer(f"The service answered with status {answer.status}.")
    try:
        legacy = run_workflows.to_legacy(answer.status, answer.decoded())
    except errors.ProxyError:  # it cannot be read here, but perhaps by the caller
        legacy = LegacyResponse(answer.status, answer.body)
    record.outcome, record.status, record.error_code = outcome_of(answer.status), answer.status, legacy.error_code
    record.run, record.run_user = legacy.run, legacy.run_user
    fields = [header for header in headers.response_headers(answer.headers) if header[0] != b"content-length"]
    if headers.first(fields, b"x-request-id") is None:
        fields.append((b"x-request-id", record.request_id.encode()))
    return legacy if legacy.has_run else None, Response(answer.status, fields, answer.body)


def delivered(answer: LegacyResponse, record: CallRecord, outcome: errors.Outcome) -> Response:
    """A run."""
    record.outcome, record.status = outcome, answer.status
    record.run, record.trigger_status, record.run_user = answer.run, answer.trigger_status, answer.run_user
    return Response(answer.status, [JSON, (b"x-request-id", record.request_id.encode())], answer.body)


def refused(answer: LegacyResponse, record: CallRecord, kept: list[Header]) -> Response:
    """The service's own error, as it is."""
    record.outcome, record.status, record.error_code = "upstream_error", answer.status, answer.error_code
    if headers.first(kept, b"x-request-id") is None:
        kept.append((b"x-request-id", record.request_id.encode()))
    return Response(answer.status, [JSON, *kept], answer.body)


def failed(
    error: errors.ProxyError, record: CallRecord, *, starts_run: bool, kept: list[Header] | None = None
) -> Response:
    """An error of the proxy's own."""
    record.outcome, record.status, record.error_code = error.outcome, error.status, error.code
    record.upstream_status = record.upstream_status or error.upstream_status
    return proxy_error_response(error, record.request_id, starts_run=starts_run, kept=kept)
