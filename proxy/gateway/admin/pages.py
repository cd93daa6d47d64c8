"""The pages for whoever runs the proxy."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from proxy.callers.render.assets import POLICY
from proxy.gateway.admin.hosts import is_own
from proxy.gateway.admin.report import Form, LiveReport, NoReport
from proxy.gateway.delivery import State as Delivered
from proxy.gateway.head import EXTENSION, Head
from proxy.gateway.metrics import Metrics
from proxy.output.diagnostics import log
from proxy.output.formatting import printable

State = Mapping[str, Any]
Page = Callable[[Request], Awaitable[Response]]

_NOTHING_ACTIVE = {
    "content-security-policy": "default-src 'none'",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}
_REPORT = {**_NOTHING_ACTIVE, "content-security-policy": f"{POLICY}; frame-ancestors 'none'"}
_WRONG_HOST = """\
This page answers only to an address, to localhost and to the names in admin_hosts.
Open it by one of these, or add the name to admin_hosts and restart.
"""


class Admin:
    """The ASGI application of the admin listener. It also handles the lifespan of the whole proxy.

    Args:
        lifespan: opens what calls need, and yields the application's state. The proxy is ready while it is open.
        metrics: for ``/metrics``.
        report: for ``/callers``.
        hosts: names in ``Host`` to which the pages answer, in lower case.
        looks: what ``/readyz?verbose`` says of each thing that the proxy needs, by name.

    Attributes:
        ready: what ``/readyz`` says.
        report: for ``/callers``.
        probes: the pages that the public listener has, too, under ``/-/``: no organization is called ``-``.
    """

    def __init__(
        self,
        lifespan: Callable[[], AbstractAsyncContextManager[State]],
        metrics: Metrics,
        report: LiveReport,
        hosts: Container[str] = (),
        *,
        looks: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._lifespan = lifespan
        self._metrics, self._looks = metrics, looks
        self.report = report
        self.ready = False
        guarded = functools.partial(_guarded, hosts)
        # The first three say nothing about callers. Kubernetes and Prometheus ask for them by names of their own.
        self._pages: tuple[tuple[str, str, Page], ...] = (
            ("/healthz", "200 while the process lives", self._healthz),
            ("/readyz", "200 while it is ready for calls; with ?verbose, what it needs", self._readyz_verbose),
            ("/metrics", "for Prometheus", self._exposition),
            ("/callers", "who still calls, as 'trigger-shim callers' says it", guarded(self._callers)),
            ("/callers.json", "the same for machines", guarded(self._callers_json)),
        )
        routes = [Route("/", guarded(self._index)), *(Route(path, page) for path, _, page in self._pages)]
        self._app = Starlette(routes=routes, lifespan=self._while_ready)
        self._app.router.redirect_slashes = False
        probes = [Route("/-/healthz", self._healthz), Route("/-/readyz", self._readyz)]
        self.probes = Router(probes, redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a call of the admin listener, or the lifespan."""
        await self._app(scope, receive, send)

    @contextlib.asynccontextmanager
    async def _while_ready(self, _app: Starlette) -> AsyncIterator[State]:
        async with self._lifespan() as state:
            self.ready = True
            yield state
            self.ready = False

    async def _index(self, _request: Request) -> Response:
        return PlainTextResponse("".join(f"{path:<16}{about}\n" for path, about, _ in self._pages))

    async def _healthz(self, _request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _readyz(self, _request: Request) -> Response:
        return PlainTextResponse("ready\n") if self.ready else PlainTextResponse("not ready\n", 503)

    async def _readyz_verbose(self, request: Request) -> Response:
        answer = await self._readyz(request)
        if "verbose" not in request.query_params:
            return answer
        lines = (f"{name:<16}{printable(state)}\n" for name, state in self._looks().items())
        return PlainTextResponse(bytes(answer.body).decode() + "".join(lines), answer.status_code)

    async def _exposition(self, request: Request) -> Response:
        accept = ",".join(request.headers.getlist("accept"))
        try:
            media_type, text = await run_in_threadpool(self._metrics.exposition, accept)
        except OSError as error:
            log.error("metrics_unavailable", path=error.filename, reason=error.strerror)
            return PlainTextResponse(f"metrics: {error.filename}: {error.strerror}\n", 500)
        return Response(text, headers={"content-type": media_type})

    async def _callers(self, request: Request) -> Response:
        return await self._report(request, "html", "text/html; charset=utf-8")

    async def _callers_json(self, request: Request) -> Response:
        return await self._report(request, "json", "application/json")

    async def _report(self, request: Request, form: Form, media_type: str) -> Response:
        try:
            text = await _while_connected(request, self.report.text(form))
        except NoReport as problem:
            return PlainTextResponse(printable(str(problem)) + "\n", 503, _NOTHING_ACTIVE)
        return Response(text, headers={"content-type": media_type, **_REPORT})


def _guarded(hosts: Container[str], page: Page) -> Page:
    async def answer(request: Request) -> Response:
        if not is_own(request.headers.get("host", ""), hosts):
            return PlainTextResponse(_WRONG_HOST, 421, _NOTHING_ACTIVE)
        return await page(request)

    return answer


def _cancel(task: "asyncio.Task[bytes]") -> None:
    task.cancel()


async def _while_connected(request: Request, work: Coroutine[Any, Any, bytes]) -> bytes:
    """Wait for some work, and cancel it if the reader closes the connection, or only its own side: browsers do both.

    Raises:
        NoReport: it has no result.
    """
    head: Head = request.scope["extensions"][EXTENSION]
    working = asyncio.ensure_future(work)
    head.delivery.watch(lambda _: _cancel(working))
    try:
        return await working
    except asyncio.CancelledError:
        working.cancel()
        if head.delivery.state is Delivered.WAITING:  # the server stops
            raise
        raise NoReport("the connection was closed") from None
