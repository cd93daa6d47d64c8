"""The error schema, and every error that the proxy itself responds with.

The tree, with the status and the outcome in the caller record:

    ProxyError
    ├─ Rejected            the call itself is wrong                rejected
    │  ├─ InvalidRequest   400  not a valid request (RFC 9112)
    │  ├─ MethodNotAllowed 405
    │  ├─ RequestTimeout   408
    │  ├─ HeadersTooLarge  431
    │  ├─ InvalidPath      400
    │  ├─ PathTooLong      414
    │  ├─ InvalidBody      400
    │  ├─ BodyTooLarge     413
    │  ├─ UpgradeRefused   501  WebSocket
    │  └─ LoopDetected     508  has passed through this proxy before
    ├─ Withdrawn           410  refused permanently                gone
    ├─ BrownedOut          410  refused for a while                brownout
    ├─ Overloaded          503                                     overloaded
    ├─ Unreachable         502  no connection was made             unreachable
    ├─ Timeout             504  sent, no response in time          timeout
    ├─ ConnectionLost      502  sent, then disconnected            upstream_error
    ├─ InvalidAnswer       502  the response is not usable         upstream_error
    ├─ UpstreamError       as sent, wrapped in the schema          upstream_error
    └─ InternalError       500  a bug in the proxy                 interrupted

The messages are written where the errors are raised; those of 410 in `gateway.call.refusal`.
"""

from typing import ClassVar, Literal

import msgspec

PROXY = "trigger-shim"
"""The proxy's name in ``Proxy-Status`` and in its own messages."""

RunStarted = Literal["no", "yes", "unknown"]
Outcome = Literal[
    "forwarded",
    "upstream_error",
    "unreachable",
    "timeout",
    "rejected",
    "brownout",
    "gone",
    "overloaded",
    "redelivered",
    "interrupted",
]


Limit = Literal[
    "in_flight",
    "waiting_for_retry",
    "upstream_connections",
    "buffered",
    "pipelined",
    "head_size",
    "head_time",
    "proxy_header",
    "path_size",
    "body_size",
    "body_time",
    "body_rate",
    "unread_answer",
]
"""The limits that refuse or end calls, as the metric names them."""

_ADVICE: dict[RunStarted, str] = {
    "no": "No run was started.",
    "yes": "A run was started: do not call again.",
    "unknown": "A run may have been started: check the list of runs before you call again.",
}


class ErrorBody(msgspec.Struct, frozen=True):
    """The body of an error, with all fields of the schema (API.md, section 3)."""

    error_code: str
    message: str
    request_id: str
    details: dict[str, str]


class ProxyError(Exception):
    """An error that the proxy itself responds with.

    Attributes:
        message: what happened and what to do, for the owner of the calling tool.
        details: the schema's ``details``, without ``run_started``.
        status: HTTP status of the response.
        code: the schema's ``error_code``.
        outcome: the outcome in the caller record.
        run_started: whether the successor may have started a run.
        proxy_error: the error type of ``Proxy-Status`` (RFC 9209, section 2.3).
        upstream_status: the status of a response that began but could not be used.
        retry_after: seconds until the caller may try again.
        limit: the limit that refused the call, if one did.
        reason: what the status line says instead of the usual phrase: printable ASCII.
    """

    status: int
    code: ClassVar[str]
    outcome: ClassVar[Outcome]
    run_started: RunStarted = "no"
    proxy_error: str | None = None
    upstream_status: int | None = None
    retry_after: int | None = None
    reason: str | None = None

    def __init__(
        self,
        message: str,
        *,
        run_started: RunStarted | None = None,
        proxy_error: str | None = None,
        limit: Limit | None = None,
        **details: str,
    ) -> None:
        super().__init__(message)
        self.limit = limit
        self.run_started = run_started or self.run_started
        self.proxy_error = proxy_error or self.proxy_error
        self.message = message
        self.details = details

    def body(self, request_id: str, *, starts_run: bool = False) -> bytes:
        """The response body in the error schema.

        Args:
            request_id: of the call.
            starts_run: the call starts a run, so the body must say whether it did (API.md, section 3).
        """
        message, details = self.message, self.details
        if starts_run:
            message = f"{message} {_ADVICE[self.run_started]}"
            details = {**details, "run_started": self.run_started}
        return msgspec.json.encode(ErrorBody(self.code, message, request_id, details))

    def proxy_status(self) -> str:
        """The value of ``Proxy-Status`` (RFC 9209)."""
        return f"{PROXY}; error={self.proxy_error}" if self.proxy_error else PROXY


class Rejected(ProxyError):
    """The call is not valid; nothing was forwarded."""

    status = 400
    outcome = "rejected"
    proxy_error = "http_request_error"


class InvalidRequest(Rejected):
    """Not a valid request (RFC 9112), or one with ambiguous framing."""

    code = "InvalidRequest"


class MethodNotAllowed(Rejected):
    """A method that the proxy does not support, such as ``CONNECT``."""

    status = 405
    code = "MethodNotAllowed"


class RequestTimeout(Rejected):
    """The request did not arrive in time."""

    status = 408
    code = "RequestTimeout"


class HeadersTooLarge(Rejected):
    """The request line and the headers are larger than the limit."""

    status = 431
    code = "HeadersTooLarge"


class InvalidPath(Rejected):
    """A segment of the path is not valid."""

    code = "InvalidPath"


class PathTooLong(Rejected):
    """The path of a withdrawn call is longer than any that the service has."""

    status = 414
    code = "PathTooLong"


class InvalidBody(Rejected):
    """The body is not one that the withdrawn endpoint accepted."""

    code = "InvalidBody"


class BodyTooLarge(Rejected):
    """The body is larger than ``limits.body``."""

    status = 413
    code = "BodyTooLarge"


class UpgradeRefused(Rejected):
    """A request for a WebSocket, which the proxy does not support."""

    status = 501
    code = "UpgradeRefused"


class LoopDetected(Rejected):
    """The call has passed through this proxy before: the upstream leads back to it."""

    status = 508
    code = "LoopDetected"
    proxy_error = "proxy_loop_detected"


class Withdrawn(ProxyError):
    """The caller may not use the withdrawn endpoint any more."""

    status = 410
    code = "EndpointWithdrawn"
    outcome = "gone"
    proxy_error = "http_request_denied"


class BrownedOut(ProxyError):
    """The caller may not use the withdrawn endpoint for a while: a planned short failure that somebody notices."""

    status = 410
    code = "EndpointBrownout"
    outcome = "brownout"
    proxy_error = "http_request_denied"


class Overloaded(ProxyError):
    """The proxy may have no more calls in progress, or hold no more bytes of requests."""

    status = 503
    code = "Overloaded"
    outcome = "overloaded"
    proxy_error = "connection_limit_reached"
    retry_after = 1


class Unreachable(ProxyError):
    """The proxy could not connect to the service, so nothing was sent."""

    status = 502
    code = "UpstreamUnreachable"
    outcome = "unreachable"
    proxy_error = "destination_unavailable"


class Timeout(ProxyError):
    """The call was sent, but there was no response within ``upstream.timeout``."""

    status = 504
    code = "UpstreamTimeout"
    outcome = "timeout"
    run_started = "unknown"
    proxy_error = "http_response_timeout"


class ConnectionLost(ProxyError):
    """The connection broke after the call was sent."""

    status = 502
    code = "UpstreamConnectionLost"
    outcome = "upstream_error"
    run_started = "unknown"
    proxy_error = "connection_terminated"


class InvalidAnswer(ProxyError):
    """The service responded with something that is neither a run nor an error."""

    status = 502
    code = "UpstreamInvalidAnswer"
    outcome = "upstream_error"
    run_started = "unknown"
    proxy_error = "http_protocol_error"


class UpstreamError(ProxyError):
    """An error response without an explanation, from a load balancer for example, wrapped in the schema."""

    code = "UpstreamError"
    outcome = "upstream_error"

    def __init__(self, status: int) -> None:
        started: RunStarted = "no" if status < 500 else "unknown"
        super().__init__(
            f"The service answered with status {status} and no explanation.",
            run_started=started,
            upstream_status=str(status),
        )
        self.status = status

    def proxy_status(self) -> str:
        """The status that was received; it is not an error of the proxy (RFC 9209, section 2.1.4)."""
        return f"{PROXY}; received-status={self.status}"


class InternalError(ProxyError):
    """A bug in the proxy."""

    status = 500
    code = "ProxyInternalError"
    outcome = "interrupted"
    run_started = "unknown"
    proxy_error = "proxy_internal_error"
