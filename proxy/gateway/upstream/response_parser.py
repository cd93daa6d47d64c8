"""Parses a response of the service; does no I/O."""

import re

import httptools

from proxy.gateway.headers import Header, Headers

HEAD_LIMIT = 64 << 10
"""Bytes of a response before its body, interim responses included, and between or after the chunks of the body."""

IDLE_MARGIN = 1.0
"""Seconds before the end of the time in ``Keep-Alive`` in which a connection is not used again."""

_LENGTH_LIMIT = 18
"""Digits of a ``Content-Length``, leading zeros included. No 64-bit number needs more."""

_TIMEOUT = re.compile(rb"\btimeout *= *(\d{1,9})", re.IGNORECASE)


class ResponseParser:
    """Parses the responses of one connection, one after another.

    Attributes:
        has_begun: a byte of the response has been received.
        status: of the final response, or 0 before its head is complete.
        headers: of the final response, as they were sent.
        buffered: bytes of the body that were parsed and not taken yet.
        ends_with_connection: the body has no length; the end of the connection is its end.
        is_complete: the whole response has been parsed.
        keeps_alive: the connection may carry another request after this response.
        idle_limit: seconds for which the connection may be idle afterwards, or None if the service does not say.
        problem: why the response is invalid, or None.
    """

    has_begun = False
    status = 0
    headers: list[Header]
    buffered = 0
    ends_with_connection = False
    idle_limit: float | None = None
    problem: str | None = None

    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    def expect(self, *, to_head: bool) -> None:
        """Start with the next response.

        Args:
            to_head: whether it answers a HEAD request, so that it has no body.
        """
        self._parser = httptools.HttpResponseParser(self)
        self._to_head = to_head
        self._outside_body = 0  # bytes since the last one of the body
        self._chunks.clear()
        self.status = self.buffered = 0
        self.headers = []
        self.has_begun = self.ends_with_connection = self.is_complete = self.keeps_alive = False
        self.problem = None

    def feed(self, data: bytes) -> None:
        """Parse what was received; bytes after the end of a response make its connection unusable."""
        if not self.has_begun:
            self.has_begun = True
            if not data.startswith(b"H"):  # httptools accepts RTSP and Icecast, too
                self.problem = "not HTTP"
                return
        self._outside_body += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.problem = self.problem or type(error).__name__
        if self._outside_body > HEAD_LIMIT:
            self.problem = self.problem or "too much outside the body"

    def take(self) -> bytes:
        """Remove and return what has been parsed of the body."""
        content = b"".join(self._chunks)
        self._chunks.clear()
        self.buffered = 0
        return content

    # Callbacks of httptools

    def on_message_begin(self) -> None:
        if self.is_complete:
            self.keeps_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:  # later ones are trailers
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self.status or self.problem is not None:
            return
        if self._outside_body > HEAD_LIMIT and _size(self.headers) > HEAD_LIMIT:
            self.problem = "the head is too large"
            return
        status = self._parser.get_status_code()
        try:
            ends_with_connection, idle_limit = validate_head(status, self._parser.get_http_version(), self.headers)
        except ValueError as problem:
            self.problem = str(problem)
            return
        if status < 200:
            self.headers.clear()
            return
        self.status, self.ends_with_connection, self.idle_limit = status, ends_with_connection, idle_limit
        if self._to_head:
            self.on_message_complete()

    def on_body(self, body: bytes) -> None:
        if self.is_complete or not self.status:
            self.keeps_alive = False
            return
        self._outside_body = 0
        self._chunks.append(body)
        self.buffered += len(body)

    def on_message_complete(self) -> None:
        if self.status and not self.is_complete:
            self.is_complete = True
            self.keeps_alive = self._parser.should_keep_alive()


def validate_head(status: int, version: str, headers: Headers) -> tuple[bool, float | None]:
    """Refuse a head whose body has no definite end.

    Returns:
        Whether the body ends with the connection; and for how many seconds the connection may be idle afterwards, if
        the service says so in ``Keep-Alive`` (RFC 2068, section 19.7.1.1).

    Raises:
        ValueError: the head is invalid.
    """
    codings, length, idle = [], None, None
    for name, value in headers:
        match name.lower():
            case b"transfer-encoding":
                codings.append(value.strip().lower())
            case b"content-length":
                length = value  # httptools refuses a second one
            case b"keep-alive":
                idle = _idle_limit(value)
    if version not in {"1.0", "1.1"} or status < 100:
        raise ValueError("not HTTP/1.1")
    if codings not in ([], [b"chunked"]) or len(length or b"") > _LENGTH_LIMIT:
        raise ValueError("the length of the body is invalid")
    ends_with_connection = not codings and length is None
    if status < 200 and not ends_with_connection:  # RFC 9112, section 6.1: it must not announce a body
        raise ValueError("an interim response has a body")
    return ends_with_connection, idle


def _size(headers: Headers) -> int:
    return sum(len(name) + len(value) + len(b": \r\n") for name, value in headers)


def _idle_limit(keep_alive: bytes) -> float | None:
    found = _TIMEOUT.search(keep_alive)
    return int(found[1]) - IDLE_MARGIN if found else None
