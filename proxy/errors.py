"""The error schema, and every error that the proxy itself answers with.

The tree, with the status and the outcome that goes into the caller record:

    ProxyError
    ├─ Rejected            the call itself is wrong                rejected
    │  ├─ InvalidRequest   400  not a request as RFC 9112 has it
    │  ├─ MethodNotAllowed 405
    │  ├─ RequestTimeout   408
    │  ├─ HeadersTooLarge  431
    │  ├─ InvalidPath      400
    │  ├─ InvalidBody      400
    │  ├─ BodyTooLarge     413
    │  ├─ UpgradeRefused   501  WebSocket
    │  └─ LoopDetected     508  the call has been here already
    ├─ Withdrawn           410  for this caller, for good          gone
    ├─ BrownedOut          410  for this caller, for a while       brownout
    ├─ Overloaded          503                                     overloaded
    ├─ Unreachable         502  no connection was made             unreachable
    ├─ Timeout             504  sent, and no answer in time        timeout
    ├─ ConnectionLost      502  sent, and the connection broke     upstream_error
    ├─ InvalidAnswer       502  answered with what is no answer    upstream_error
    ├─ UpstreamError       as answered, wrapped in the schema      upstream_error
    └─ InternalError       500  the proxy's own fault              interrupted
"""

from typing import ClassVar, Literal

import msgspec

PROXY = "trigger-shim"
"""How the proxy names itself to other machines: in ``Proxy-Status``."""

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


_ADVICE: dict[RunStarted, str] = {
    "no": "No run was started.",
    "yes": "A run was started: do not call again.",
    "unknown": "A run may have been started: look at the list of runs before you call again.",
}


class ErrorBody(msgspec.Struct, frozen=True):
    """The body of an error of the proxy's own: it has all that the schema has (API.md, section 3)."""

    error_code: str
    message: str
    request_id: str
    details: dict[str, str]


class ProxyError(Exception):
    """An answer that the proxy makes itself.

    Attributes:
        message: what happened, and what to do, for the owner of the calling tool.
        details: the schema's ``details``, without ``run_started``.
        status: HTTP status of the answer.
        code: the schema's ``error_code``.
        outcome: what the caller record says became of the call.
        run_started: whether the successor may have started a run.
        proxy_error: the error type of ``Proxy-Status`` (RFC 9209, section 2.3).
        upstream_status: the status of an answer that was begun and could not be used.
        retry_after: seconds after which the caller may try again.
    """

    status: int
    code: ClassVar[str]
    outcome: ClassVar[Outcome]
    run_started: RunStarted = "no"
    proxy_error: str | None = None
    upstream_status: int | None = None
    retry_after: int | None = None

    def __init__(
        self,
        message: str,
        *,
        run_started: RunStarted | None = None,
        proxy_error: str | None = None,
        **details: str,
    ) -> None:
        super().__init__(message)
        self.run_started = run_started or self.run_started
        self.proxy_error = proxy_error or self.proxy_error
        self.message = message
        self.details = details

    def body(self, request_id: str, *, starts_run: bool = False) -> bytes:
        """The answer's body in the error schema.

        Args:
            request_id: of the call.
            starts_run: the call would have started a run, so the body must say whether it did (API.md, section 3).
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
    """The call is wrong; nothing was forwarded."""

    status = 400
    outcome = "rejected"
    proxy_error = "http_request_error"


class InvalidRequest(Rejected):
    """Not a request as RFC 9112 has it, or one that could be read in two ways."""

    code = "InvalidRequest"


class MethodNotAllowed(Rejected):
    """A method that no proxy of this kind serves."""

    status = 405
    code = "MethodNotAllowed"


class RequestTimeout(Rejected):
    """The request did not come in whole in time."""

    status = 408
    code = "RequestTimeout"


class HeadersTooLarge(Rejected):
    """The head of the request is over the limit."""

    status = 431
    code = "HeadersTooLarge"


class InvalidPath(Rejected):
    """A segment of the path cannot be what it stands for."""

    code = "InvalidPath"


class InvalidBody(Rejected):
    """The body is not what the withdrawn endpoint took."""

    code = "InvalidBody"


class BodyTooLarge(Rejected):
    """The body is over ``limits.body``."""

    status = 413
    code = "BodyTooLarge"


class UpgradeRefused(Rejected):
    """A WebSocket: the API has none, and the proxy carries none."""

    status = 501
    code = "UpgradeRefused"


class LoopDetected(Rejected):
    """The call has been through this proxy already: its upstream leads back to it."""

    status = 508
    code = "LoopDetected"
    proxy_error = "proxy_loop_detected"


class Withdrawn(ProxyError):
    """The caller may not go on with the withdrawn endpoint."""

    status = 410
    code = "EndpointWithdrawn"
    outcome = "gone"
    proxy_error = "http_request_denied"


class BrownedOut(ProxyError):
    """It may not for a while: a planned short failure, so that somebody notices."""

    status = 410
    code = "EndpointBrownout"
    outcome = "brownout"
    proxy_error = "http_request_denied"


class Overloaded(ProxyError):
    """As many calls as ``limits.in_flight`` allows are under way."""

    status = 503
    code = "Overloaded"
    outcome = "overloaded"
    proxy_error = "connection_limit_reached"
    retry_after = 1


class Unreachable(ProxyError):
    """No connection to the successor was made, so nothing was sent."""

    status = 502
    code = "UpstreamUnreachable"
    outcome = "unreachable"
    proxy_error = "destination_unavailable"


class Timeout(ProxyError):
    """The call was sent, and no answer came within ``upstream.timeout``."""

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
    """The successor answered with something that is neither a run nor an error."""

    status = 502
    code = "UpstreamInvalidAnswer"
    outcome = "upstream_error"
    run_started = "unknown"
    proxy_error = "http_protocol_error"


class UpstreamError(ProxyError):
    """An error answer that explains nothing, from a load balancer say, wrapped in the schema."""

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
        """No error of the proxy's own: only the status that came in (RFC 9209, section 2.1.4)."""
        return f"{PROXY}; received-status={self.status}"


class InternalError(ProxyError):
    """The proxy itself failed."""

    status = 500
    code = "ProxyInternalError"
    outcome = "interrupted"
    run_started = "unknown"
    proxy_error = "proxy_internal_error"
