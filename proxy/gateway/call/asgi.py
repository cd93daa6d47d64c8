"""One call as ASGI gives it: the body that comes in, and the answer that goes out."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, NamedTuple, cast

from starlette.types import Message, Receive, Scope, Send

from proxy import errors
from proxy.gateway import headers
from proxy.gateway.headers import Header

WHOLE_BODY_TIMEOUT = 30.0
"""Seconds for the body of a translated call, even where it makes progress."""

JSON: Header = (b"content-type", b"application/json")


class Response(NamedTuple):
    """A whole answer; its length is added when it is sent."""

    status: int
    headers: list[Header]
    body: bytes


class ClientDisconnected(Exception):
    """There is nobody to answer."""


class Responder:
    """The answer to one call.

    Attributes:
        status: of the head that is on the way, so that it can be no other answer any more; None before.
        gone: the caller hung up before its end.
    """

    def __init__(self, send: Send, method: str) -> None:
        self.status: int | None = None
        self.gone = False
        self._send = send
        self._to_head = method == "HEAD"

    async def send(self, response: Response) -> None:
        """Answer at once.

        Raises:
            ClientDisconnected: there is nobody to answer.
        """
        length = (b"content-length", b"%d" % len(response.body))
        self.status = response.status
        try:
            await self._send(
                {"type": "http.response.start", "status": response.status, "headers": [*response.headers, length]}
            )
            await self._send({"type": "http.response.body", "body": response.body})
        except OSError:
            self.gone = True
            raise ClientDisconnected from None

    async def stream(
        self, status: int, fields: list[Header], body: AsyncIterator[bytes], ending: Callable[[], None]
    ) -> None:
        """Answer as the body comes; the head goes out before its first piece.

        Args:
            status: of the answer.
            fields: its headers.
            body: its pieces.
            ending: called when the next thing to be sent is what makes the answer whole, and perhaps once more.

        Raises:
            ClientDisconnected: there is nobody to answer.
        """
        length = headers.first(fields, b"content-length")
        self.status = status
        left = 0 if self._to_head or status in {204, 304} else int(length or -1)
        if left == 0:
            ending()
        await self._pass({"type": "http.response.start", "status": status, "headers": fields})
        await self._pass({"type": "http.response.body", "body": b"", "more_body": True})
        async for piece in body:
            left -= len(piece)
            if left == 0:
                ending()
            await self._pass({"type": "http.response.body", "body": piece, "more_body": True})
        ending()
        await self._pass({"type": "http.response.body", "body": b""})

    async def _pass(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError:
            self.gone = True
            raise ClientDisconnected from None


def has_body(scope: Scope) -> bool:
    """Whether the call declares a body."""
    fields = scope["fields"]
    return b"transfer-encoding" in fields or fields.get(b"content-length", b"0") != b"0"


async def iter_body(receive: Receive, first: Message | None = None) -> AsyncIterator[bytes]:
    """The body of a call, as it comes.

    Args:
        receive: the messages.
        first: one that has been received already.

    Raises:
        errors.InvalidBody: it broke off.
    """
    more = True
    while more:
        message, first = first or await receive(), None
        if message["type"] == "http.disconnect":
            raise errors.InvalidBody("The body broke off before it was whole.")
        more = message.get("more_body", False)
        yield message.get("body", b"")


async def whole_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The body of a call, if it has no more than `limit` bytes.

    Raises:
        errors.BodyTooLarge: it has more.
        errors.RequestTimeout: it took longer than `WHOLE_BODY_TIMEOUT`.
        errors.InvalidBody: it broke off.
    """
    declared = scope["fields"].get(b"content-length")
    if declared is not None and int(declared) > limit:
        raise _too_large(limit)
    first = poll_receive(
        receive
    )  # most are whole before they are asked for, and a time limit costs more than to read one
    if first is not None and first["type"] == "http.request" and not first["more_body"] and len(first["body"]) <= limit:
        return cast("bytes", first["body"])
    body = bytearray()
    try:
        async with asyncio.timeout(WHOLE_BODY_TIMEOUT):
            async for piece in iter_body(receive, first):
                body += piece
                if len(body) > limit:
                    raise _too_large(limit)
    except TimeoutError:
        raise errors.RequestTimeout(f"The body took over {WHOLE_BODY_TIMEOUT:g} s.") from None
    return bytes(body)


def _too_large(limit: int) -> errors.BodyTooLarge:
    return errors.BodyTooLarge(f"The body is over {limit} bytes.")


def poll_receive(receive: Receive) -> Message | None:
    """The next message, if it need not be waited for."""
    waiting = cast("Coroutine[Any, Any, Message]", receive())
    try:
        waiting.send(None)
    except StopIteration as stop:
        return cast("Message", stop.value)
    waiting.close()
    return None


def proxy_error_response(
    error: errors.ProxyError, request_id: str, *, starts_run: bool = False, kept: list[Header] | None = None
) -> Response:
    """An error of the proxy's own.

    Args:
        error: which one.
        request_id: of the call.
        starts_run: whether the call would have started a run.
        kept: what the successor's answer leaves, but for its request id: the body names the proxy's.
    """
    fields = [JSON, (b"proxy-status", error.proxy_status().encode()), (b"x-request-id", request_id.encode())]
    if error.status == 410:  # it is cacheable by default (RFC 9110, section 15.5.11), and holds for one caller
        fields.append((b"cache-control", b"no-store"))
    if error.retry_after is not None:
        fields.append((b"retry-after", b"%d" % error.retry_after))
    fields += [header for header in kept or [] if header[0] != b"x-request-id"]
    return Response(error.status, fields, error.body(request_id, starts_run=starts_run))
