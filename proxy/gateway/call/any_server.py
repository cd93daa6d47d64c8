"""Serves calls from any ASGI server.

The proxy's own server puts an `Extension` into the scope. For another server's call, this middleware checks the request
as the proxy's own server does, and computes the extension from the standard scope.
"""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proxy import errors
from proxy.gateway.call.responses import proxy_error_response
from proxy.gateway.delivery import Delivery, State
from proxy.gateway.extension import NAME, Extension
from proxy.gateway.server.request import check, target_of


class AnyServer:
    """ASGI middleware that adds the extension where the server has not.

    Args:
        app: needs the extension.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        try:
            scope = _extended(scope)
        except errors.ProxyError as error:
            await proxy_error_response(error, uuid.uuid4().hex, starts_run=True)(scope, receive, send)
            return
        delivery: Delivery = scope["extensions"][NAME].delivery

        async def send_if_connected(message: Message) -> None:
            # Servers of ASGI before 2.4 drop what is sent to a caller that is gone.
            if delivery.state is State.LOST:
                raise ConnectionResetError
            await send(message)

        async with _watched(receive, delivery) as receive_next:
            await self._app(scope, receive_next, send_if_connected)


def _extended(scope: Scope) -> Scope:
    """The scope with the extension.

    Raises:
        errors.ProxyError: the request is not valid.
    """
    headers = list(scope["headers"])  # a copy, because servers append the trailers to their own
    first_values = dict(reversed(headers))
    # Optional, and with some servers it has the query.
    raw = scope.get("raw_path") or quote(scope["path"]).encode()
    path, query = raw.partition(b"?")[0], scope["query_string"]
    path, _, target = target_of(scope["method"], b"?".join(filter(None, (path, query))))
    check(scope["http_version"], 0, headers, first_values)
    extension = Extension(target, first_values, Delivery())
    extensions = {**(scope.get("extensions") or {}), NAME: extension}
    return {**scope, "raw_path": path, "headers": headers, "extensions": extensions}


@contextlib.asynccontextmanager
async def _watched(receive: Receive, delivery: Delivery) -> AsyncIterator[Receive]:
    """Receive ahead of the application, because only ``http.disconnect`` says that the caller is gone."""
    messages: asyncio.Queue[Message] = asyncio.Queue(maxsize=1)

    async def receive_all() -> None:
        message: Message = {"type": ""}
        while message["type"] != "http.disconnect":
            message = await receive()
            if message["type"] == "http.disconnect":
                delivery.becomes(State.LOST)
            await messages.put(message)

    receiving = asyncio.create_task(receive_all())
    try:
        yield messages.get
    finally:
        receiving.cancel()
