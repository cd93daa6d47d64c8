"""Reads HTTP/1.1 requests from the bytes of one connection. It knows neither time nor sockets."""

import enum
from typing import Protocol, cast

import httptools

from proxy import errors
from proxy.gateway.headers import Header, members
from proxy.gateway.server.request import HEAD_LIMIT, escaped, validate_head

CREDIT = 16
"""Bytes of a chunked body, with framing, that are allowed for each byte of content. A chunk of one byte takes six."""


class Reading(enum.Enum):
    """What the parser is reading."""

    BETWEEN = "between two requests"
    HEAD = "the head of a request"
    BODY = "the body of a request"
    SUBSTITUTE_HEAD = "a head that replaces one that asked for an upgrade"


_BETWEEN, _HEAD, _BODY, _SUBSTITUTE_HEAD = Reading  # Python 3.11 takes 0.1 µs to look up a member


class Receiver(Protocol):
    """Called for each part of a request. Only a request with a body has the last two."""

    def head_started(self) -> None: ...
    def head_received(self) -> None: ...
    def body_received(self, body: bytes) -> None: ...
    def body_ended(self) -> None: ...


class RequestParser:
    """Reads one request after the other, and calls a receiver for each part.

    Attributes:
        reading: what is being read.
        method, version, target, headers: from the last head. Names of headers are in lower case.
        fields: the first value of each header.
        has_body: whether a body follows.
        keep_alive: whether another request may follow on the connection.
        seen: the unfinished head, or the piece that is being parsed.
    """

    def __init__(self, receiver: Receiver) -> None:
        self.reading = _BETWEEN
        self._receiver = receiver
        self._parser = httptools.HttpRequestParser(self)
        self.seen = b""
        self._head_start = 0  # where the head starts in it
        self._last = b""  # the last three bytes, which may begin an empty line
        self._body_left: int | None = 0  # bytes of the body still to come; None if it is chunked
        self._overhead = 0  # bytes outside a body, less the credit of that body

    @property
    def is_in_head(self) -> bool:
        """Whether a head has begun and is not complete."""
        return self.reading is _HEAD

    def feed(self, data: bytes) -> None:
        """Parse what has arrived.

        Raises:
            errors.ProxyError: it is not a request that is served; the parser cannot be used any more.
            Exception: a callback of the receiver raised it.
        """
        # Most data is parsed in one piece: it is ASCII, and cannot hold the end of a chunked body, which has size 0.
        at, is_plain = 0, self._body_left is not None and data.isascii() and b"\n0" not in data
        while at < len(data):
            end = len(data) if is_plain else self._cut(data, at)
            at = end - self._parse(data[at:end])
        if self.reading is _HEAD or self._body_left is None:
            self._last = (self._last + data)[-3:]

    def _cut(self, data: bytes, at: int) -> int:
        """Return where the next piece ends, such that every head starts a piece and its request line is known.

        A body with a length ends the piece itself. Heads and chunked bodies end with an empty line.
        """
        if self._body_left:
            return min(at + self._body_left, len(data))
        if at == 0 and (end := (self._last + data[:3]).find(b"\r\n\r\n")) >= 0:
            return end + 4 - len(self._last)
        end = data.find(b"\r\n\r\n", at)
        return end + 4 if end >= 0 else len(data)

    def _parse(self, data: bytes) -> int:
        """Parse a piece. Returns how many bytes are left unparsed after a request that asked for an upgrade."""
        self._overhead += len(data)
        before = self.seen if self.reading is _HEAD else b""
        if not before:
            self._head_start = self._body_left or 0
        if self.reading is _BETWEEN:
            data = data.lstrip(b"\r\n")  # RFC 9112, section 2.2
        self.seen = before + data
        if self.reading is not _BODY and not data.isascii() and b"\n" not in before:
            data = escaped(data)
        left = self._feed_parser(data)
        if self._overhead > HEAD_LIMIT:
            raise errors.HeadersTooLarge(f"The headers are over {HEAD_LIMIT} bytes.", limit="head_size")
        self.seen = self.seen[self._head_start :].lstrip(b"\r\n") if self.reading is _HEAD else b""
        self._head_start = 0
        return left

    def _feed_parser(self, data: bytes) -> int:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline_upgrade()
            return len(data) - int(upgrade.args[0])
        except httptools.HttpParserCallbackError as error:
            raise cast("Exception", error.__context__) from None
        except httptools.HttpParserError:
            raise errors.InvalidRequest("The request is not HTTP/1.1.") from None
        return 0

    # httptools calls these

    def on_message_begin(self) -> None:
        if self.reading is _SUBSTITUTE_HEAD:
            return
        self.reading = _HEAD
        self.target = b""
        self.headers: list[Header] = []
        self._receiver.head_started()

    def on_url(self, url: bytes) -> None:
        if self.reading is _HEAD:
            self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.reading is _HEAD:  # trailers are dropped
            name = name.lower()
            # White space is not part of a value (RFC 9110, section 5.5), but the parser misses "chunked" after a tab.
            self.headers.append((name, value.strip(b" " if name == b"transfer-encoding" else b" \t")))

    def on_headers_complete(self) -> None:
        self._overhead = 0
        if self.reading is _SUBSTITUTE_HEAD:
            self.reading = _BODY
            return
        self.method, self.version = self._parser.get_method().decode("ascii"), self._parser.get_http_version()
        self._validate_request_line(b"%b %b HTTP/%b" % (self.method.encode(), self.target, self.version.encode()))
        self.fields = dict(reversed(self.headers))
        end = self.seen.find(b"\r\n\r\n", self._head_start) + 4
        length, chunked = validate_head(self.version, end - self._head_start, self.headers, self.fields)
        self._head_start = end + length
        self._body_left = None if chunked else length
        self.has_body = chunked or length > 0
        self.reading = _BODY if self.has_body else _BETWEEN
        self.keep_alive = self._parser.should_keep_alive() and not self._asks_to_close()
        self._receiver.head_received()

    def on_body(self, body: bytes) -> None:
        if self._body_left is None:
            self._overhead = max(0, self._overhead - CREDIT * len(body))
        else:
            self._overhead = 0
            self._body_left -= len(body)
        self._receiver.body_received(body)

    def on_message_complete(self) -> None:
        self._overhead = 0
        # The parser takes a request that asks for an upgrade for complete at the end of its head.
        if self.reading is _BODY and not self._parser.should_upgrade():
            self.reading = _BETWEEN
            self._receiver.body_ended()

    def _validate_request_line(self, parsed: bytes) -> None:
        """Compare the request line with what came, since the parser accepts those of RTSP and Icecast, too.

        Raises:
            errors.InvalidRequest: they differ by more than the escapes of `escaped`, which are undone.
        """
        if self.seen.startswith(parsed + b"\r\n", self._head_start):
            return
        rest = self.seen[self._head_start :].lstrip(b"\r\n")
        self._head_start = len(self.seen) - len(rest)
        line = rest.partition(b"\r\n")[0]
        if line == parsed:
            return
        if line.isascii() or escaped(line) != parsed:
            raise errors.InvalidRequest("The request is not HTTP/1.1.")
        self.target = line.split(b" ")[1]

    def _asks_to_close(self) -> bool:
        # In HTTP/1.0 the parser looks for keep-alive alone, but close takes precedence (RFC 9112, section 9.3).
        return (
            self.version == "1.0" and b"connection" in self.fields and b"close" in members(self.headers, b"connection")
        )

    def _decline_upgrade(self) -> None:
        """Go on as if the request had not asked (RFC 9110, section 7.8), with the body that the parser would skip.

        Java's HttpClient asks for h2c with every call over plain HTTP.
        """
        self._parser = httptools.HttpRequestParser(self)
        if self.reading is _BODY:
            framing = next(
                b"%b: %b" % header for header in self.headers if header[0] in {b"content-length", b"transfer-encoding"}
            )
            self.reading = _SUBSTITUTE_HEAD
            self._parser.feed_data(b"POST / HTTP/1.1\r\nhost: x\r\n%b\r\n\r\n" % framing)
