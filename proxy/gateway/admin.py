"""Health and readiness, on the admin listener and under ``/-/`` on the public one."""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send


class Health:
    """An ASGI application that says whether the proxy lives and whether it is ready for calls.

    Args:
        lifespan: opens what a call needs; the proxy is ready while it is open.
    """

    def __init__(self, lifespan: Callable[[], AbstractAsyncContextManager[None]]) -> None:
        self._lifespan = lifespan
        self._ready = False
        # `/-/` is a prefix that no organization can have.
        routes = [
            Route(prefix + path, endpoint)
            for prefix in ("", "/-")
            for path, endpoint in (("/healthz", self._healthz), ("/readyz", self._readyz))
        ]
        self._app = Starlette(routes=routes, lifespan=self._while_ready)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a probe, or open and close the lifespan."""
        await self._app(scope, receive, send)

    @contextlib.asynccontextmanager
    async def _while_ready(self, _app: Starlette) -> AsyncIterator[None]:
        async with self._lifespan():
            self._ready = True
            yield
            self._ready = False

    async def _healthz(self, _request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _readyz(self, _request: Request) -> Response:
        return PlainTextResponse("ready\n") if self._ready else PlainTextResponse("not ready\n", 503)
