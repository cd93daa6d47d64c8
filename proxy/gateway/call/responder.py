"""Sends the response to a call."""

from collections.abc import AsyncIterator, Callable

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from proxy.gateway import headers
from proxy.gateway.headers import Header


class ClientDisconnected(Exception):
    """The caller is gone, so nothing more can be sent."""


class Responder:
    """Sends the response to one call. Both ways of sending raise `ClientDisconnected`.

    Attributes:
        status: status of the response, once it has started: then there can be no other response.
        client_gone: the caller disconnected before the end of its response.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.status: int | None = None
        self.client_gone = False
        self._scope, self._receive, self._asgi_send = scope, receive, send

    async def send(self, response: Response) -> None:
        """Send a whole response."""
        self.status = response.status_code
        await response(self._scope, self._receive, self._send)

    async def stream(
        self, status: int, fields: list[Header], body: AsyncIterator[bytes], on_last: Callable[[], None]
    ) -> None:
        """Send a response as its body arrives; the head is sent at once.

        Args:
            status: of the response.
            fields: its headers.
            body: its body.
            on_last: called before the message that completes the response, and possibly once more.
        """
        length = headers.first(fields, b"content-length")
        self.status = status
        left = 0 if self._scope["method"] == "HEAD" or status in {204, 304} else int(length or -1)
        if left == 0:
            on_last()
        await self._send({"type": "http.response.start", "status": status, "headers": fields})
        await self._send({"type": "http.response.body", "body": b"", "more_body": True})
        async for part in body:
            left -= len(part)
            if left == 0:
                on_last()
            await self._send({"type": "http.response.body", "body": part, "more_body": True})
        on_last()
        await self._send({"type": "http.response.body", "body": b""})

    async def _send(self, message: Message) -> None:
        try:
            await self._asgi_send(message)
        except OSError:
            self.client_gone = True
            raise ClientDisconnected from None
