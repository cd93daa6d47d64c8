"""Serves calls from any ASGI server.

The proxy's own server puts the `Head` of a call into its scope. For a call from another server, this middleware checks
the request as the proxy's own server would, and computes the head from the standard scope.
"""

import asyncio
import uuid
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proxy import errors
from proxy.callers.trusted_proxies import UNIX_PEER
from proxy.gateway.buffered import Budget, Held
from proxy.gateway.call.result import proxy_error_response
from proxy.gateway.delivery import Delivery, State
from proxy.gateway.head import EXTENSION, Head
from proxy.gateway.server.request import target_of, validate_head


class AnyServer:
    """ASGI middleware for an application that needs the head of each call."""

    def __init__(self, app: ASGIApp, budget: Budget) -> None:
        self._app = app
        self._budget = budget

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        try:
            head = _head(scope, Held(self._budget))
        except errors.ProxyError as error:
            await proxy_error_response(error, uuid.uuid4().hex, starts_run=True)(scope, receive, send)
            return
        messages: asyncio.Queue[Message] = asyncio.Queue(maxsize=1)

        async def send_if_connected(message: Message) -> None:
            # Servers of ASGI before 2.4 drop what is sent to a caller that is gone.
            if head.delivery.state is State.LOST:
                raise ConnectionResetError
            await send(message)

        # Receives ahead of the application: only ``http.disconnect`` says that the caller is gone.
        receiving = asyncio.create_task(_receive_all(receive, messages, head.delivery))
        try:
            await self._app({**scope, "extensions": {EXTENSION: head}}, messages.get, send_if_connected)
        finally:
            receiving.cancel()
            head.held.release()


def _head(scope: Scope, held: Held) -> Head:
    """The head of a call.

    Raises:
        errors.ProxyError: the request is not valid.
    """
    method, version = scope["method"], scope["http_version"]
    headers = list(scope["headers"])  # a copy, because uvicorn appends the trailers to its own
    first_values = dict(reversed(headers))
    # The raw path is optional, and some servers leave the query in it.
    path = (scope.get("raw_path") or quote(scope["path"]).encode()).partition(b"?")[0]
    path, _, target = target_of(method, b"?".join(filter(None, (path, scope["query_string"]))))
    validate_head(version, 0, headers, first_values)
    client, server = scope.get("client"), scope.get("server")
    is_unix = server is not None and server[1] is None
    peer = client[0] if client else UNIX_PEER if is_unix else None
    scheme, delivery = scope.get("scheme", "http"), Delivery()
    return Head(method, path, target, headers, first_values, scheme, version, peer, delivery, held)


async def _receive_all(receive: Receive, messages: asyncio.Queue[Message], delivery: Delivery) -> None:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            delivery.becomes(State.LOST)
        await messages.put(message)
