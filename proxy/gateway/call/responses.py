"""The whole responses that callers get."""

from starlette.responses import Response as StarletteResponse

from proxy import errors
from proxy.gateway.headers import Header

JSON: Header = (b"content-type", b"application/json")


class Response(StarletteResponse):
    """A starlette response whose headers are bytes already: the service's are not always Latin-1 text."""

    def __init__(self, status: int, headers: list[Header], body: bytes) -> None:
        self.status_code = status
        self.body = body
        self.raw_headers = [*headers, (b"content-length", b"%d" % len(body))]
        self.background = None


def proxy_error_response(
    error: errors.ProxyError, request_id: str, *, starts_run: bool = False, kept: list[Header] | None = None
) -> Response:
    """An error of the proxy's own.

    Args:
        error: the error.
        request_id: ID of the call.
        starts_run: whether the call would have started a run.
        kept: headers of the service's response to keep. Its request ID is left out, because the body has ours.
    """
    fields = [JSON, (b"proxy-status", error.proxy_status().encode()), (b"x-request-id", request_id.encode())]
    if error.status == 410:  # 410 is cacheable by default (RFC 9110, section 15.5.11), but this one is for one caller
        fields.append((b"cache-control", b"no-store"))
    if error.retry_after is not None:
        fields.append((b"retry-after", b"%d" % error.retry_after))
    fields += [header for header in kept or [] if header[0] != b"x-request-id"]
    return Response(error.status, fields, error.body(request_id, starts_run=starts_run))
