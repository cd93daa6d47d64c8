"""The pages for those who run the proxy: a table, and what each of them says."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Lifespan, Receive, Scope, Send

from proxy.gateway.admin.report import Form, LiveReport, NoReport
from proxy.gateway.metrics import Metrics
from proxy.output.diagnostics import log

State = Mapping[str, Any]

# The report holds what callers have written: should any of it ever get out of its place, it still does nothing.
_NOTHING_ACTIVE = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}


class Page(NamedTuple):
    """One page.

    Attributes:
        path: where it is.
        about: what it says.
        answer: says it.
    """

    path: str
    about: str
    answer: Callable[[Request], Awaitable[Response]]


class Admin:
    """An ASGI application: the admin listener, and the part of it that the public one shows.

    Args:
        lifespan: opens what a call needs, and yields the application's state; the proxy is ready while it is open.
        metrics: what `/metrics` shows.
        report: what `/callers` shows.

    Attributes:
        ready: whether calls may be sent here.
        report: what it shows now.
        probes: the pages for probes, under ``/-/``, a prefix that no organization can have.
    """

    def __init__(
        self, lifespan: Callable[[], AbstractAsyncContextManager[State]], metrics: Metrics, report: LiveReport
    ) -> None:
        self._lifespan = lifespan
        self._metrics = metrics
        self.report = report
        self.ready = False
        probes = (
            Page("/healthz", "200 while the process lives", self._healthz),
            Page("/readyz", "200 while it is ready for calls", self._readyz),
        )
        self._pages = (
            *probes,
            Page("/metrics", "for Prometheus", self._exposition),
            Page("/callers", "who still calls, as 'trigger-shim callers' says it", self._callers),
            Page("/callers.json", "the same for machines", self._callers_json),
        )
        self._app = _serves((Page("/", "this list", self._index), *self._pages), self._while_ready)
        self.probes = _serves(page._replace(path=f"/-{page.path}") for page in probes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a call of the admin listener, or open and close the lifespan."""
        await self._app(scope, receive, send)

    @contextlib.asynccontextmanager
    async def _while_ready(self, _app: Starlette) -> AsyncIterator[State]:
        async with self._lifespan() as state:
            self.ready = True
            yield state
            self.ready = False

    async def _index(self, _request: Request) -> Response:
        return PlainTextResponse("".join(f"{page.path:<16}{page.about}\n" for page in self._pages))

    async def _healthz(self, _request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _readyz(self, _request: Request) -> Response:
        return PlainTextResponse("ready\n") if self.ready else PlainTextResponse("not ready\n", 503)

    async def _exposition(self, request: Request) -> Response:
        try:
            media_type, text = await run_in_threadpool(
                self._metrics.exposition, ",".join(request.headers.getlist("accept"))
            )
        except OSError as error:
            log.error("metrics_unavailable", path=error.filename, reason=error.strerror)
            return PlainTextResponse(f"metrics: {error.filename}: {error.strerror}\n", 500)
        return Response(text, headers={"content-type": media_type})

    async def _callers(self, _request: Request) -> Response:
        return await self._reported("html", "text/html; charset=utf-8")

    async def _callers_json(self, _request: Request) -> Response:
        return await self._reported("json", "application/json")

    async def _reported(self, form: Form, media_type: str) -> Response:
        try:
            text = await self.report.text(form)
        except NoReport as problem:
            return PlainTextResponse(f"{problem}\n", 503)
        return Response(text, headers={"content-type": media_type, **_NOTHING_ACTIVE})


def _serves(pages: Iterable[Page], lifespan: Lifespan[Starlette] | None = None) -> Starlette:
    app = Starlette(routes=[Route(page.path, page.answer) for page in pages], lifespan=lifespan)
    app.router.redirect_slashes = False
    return app
