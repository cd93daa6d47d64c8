"""Proxies in front of upstreams that do wrong."""

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from proxy.gateway.upstream import dialer
from tests.support import certificates
from tests.support.proxy import TRIGGER, Proxy, proxy_for
from tests.support.upstream import Script, Upstream, reply
from tests.support.wire import Answer

CALLS = {
    "trigger": ("POST", TRIGGER),
    "started": ("POST", "/acme/shop/cicd/runs"),
    "relayed": ("PATCH", "/acme/shop"),
    "read": ("GET", "/acme/shop/cicd/runs/7"),
    "passed": ("POST", "/repos/acme/shop/cicd/runs"),
}
"""A call of each kind: translated, not translated, handed on as it comes, the same and safe, not withdrawn at all."""

Patience = Mapping[str, float]
PATIENT: Patience = {}
IMPATIENT: Patience = {"timeout": 2.5, "connect_timeout": 2.4}
"""For what a proxy would wait for in vain; on a busy machine, it takes a second to send a request."""

NAME = "service.test"


class World(NamedTuple):
    """A proxy in front of an upstream with a fault.

    Attributes:
        recover: has the upstream do as it should.
    """

    proxy: Proxy
    upstream: Upstream
    recover: Callable[[], object]


Making = Callable[[Path], contextlib.AbstractContextManager[World]]


def together(proxy: Proxy, name: str = "", kinds: Iterable[str] = CALLS) -> dict[str, Answer | None]:
    """What calls get that are made at the same time, each under its kind and a name as its id; None: it broke off."""

    def call(kind: str) -> Answer | None:
        method, path = CALLS[kind]
        with contextlib.suppress(http.client.HTTPException, OSError):
            return proxy.call(path, None if method == "GET" else b"{}", {"X-Request-ID": kind + name}, method)
        return None

    with ThreadPoolExecutor(len(CALLS)) as callers:
        return dict(zip(kinds, callers.map(call, kinds), strict=True))


@contextlib.contextmanager
def does(script: Script, folder: Path, patience: Patience = PATIENT) -> Iterator[World]:
    """A service that does so with each request."""
    with Upstream(script).running() as upstream, proxy_for(upstream.url, folder, upstream=patience) as proxy:
        yield World(proxy, upstream, lambda: setattr(upstream, "script", reply()))


@contextlib.contextmanager
def shows(tls: ssl.SSLContext, folder: Path, patience: Patience = PATIENT) -> Iterator[World]:
    """A service that does so in the handshake of TLS."""
    good = certificates.server_context()
    with (
        Upstream(tls=tls).running() as upstream,
        certificates.trusted(),
        proxy_for(upstream.url.replace("http:", "https:"), folder, upstream=patience) as proxy,
    ):
        yield World(proxy, upstream, lambda: setattr(upstream, "tls", good))


@contextlib.contextmanager
def refuses(folder: Path) -> Iterator[World]:
    # Bound and not listening: nobody else can get the port meanwhile.
    with contextlib.ExitStack() as stack:
        bound = stack.enter_context(socket.socket())
        bound.bind(("127.0.0.1", 0))
        proxy = stack.enter_context(proxy_for("http://{}:{}".format(*bound.getsockname()), folder))
        upstream = Upstream()
        yield World(proxy, upstream, lambda: stack.enter_context(upstream.running(bound)))


@contextlib.contextmanager
def accepts_none(folder: Path) -> Iterator[World]:
    with full() as listener, contextlib.ExitStack() as stack:
        url = "http://{}:{}".format(*listener.getsockname())
        # The time for the whole call must not end first, as it could on a busy machine.
        proxy = stack.enter_context(proxy_for(url, folder, upstream={"connect_timeout": 0.9}))
        upstream = Upstream()
        yield World(proxy, upstream, lambda: stack.enter_context(upstream.running(listener)))


@contextlib.contextmanager
def closes_when_used_again(end: Script, folder: Path) -> Iterator[World]:
    """A service that closes an idle connection as a request comes in: one has come, and none has been read."""
    upstream = Upstream()
    all_here = threading.Barrier(len(CALLS))
    closed = threading.Semaphore(0)

    def script(connection: socket.socket) -> None:
        all_here.wait(60)  # so that each call has a connection of its own
        reply()(connection)
        if connection.recv(1, socket.MSG_PEEK):
            upstream.begun.append(0)
            closed.release()
            end(connection)

    def again(connection: socket.socket) -> None:
        for _ in CALLS:  # so that no call gets a new connection that another one is done with
            assert closed.acquire(timeout=60)
        upstream.script = reply()
        reply()(connection)

    upstream.script = script
    with upstream.running(), proxy_for(upstream.url, folder) as proxy:
        together(proxy, "-before")
        upstream.script = again
        yield World(proxy, upstream, lambda: None)


@contextlib.contextmanager
def full() -> Iterator[socket.socket]:
    """A listening socket that takes no more connections."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, socket.socket() as first:
        first.connect(listener.getsockname())
        with socket.socket() as second:
            second.setblocking(False)
            second.connect_ex(listener.getsockname())
            yield listener


@contextlib.contextmanager
def has_no_address(folder: Path) -> Iterator[World]:
    with Upstream().running() as upstream, resolving() as names:
        names[NAME] = []
        with proxy_for(named(upstream), folder) as proxy:
            yield World(proxy, upstream, lambda: names.update({NAME: ["127.0.0.1"]}))


@contextlib.contextmanager
def resolving() -> Iterator[dict[str, list[str]]]:
    """Names with the addresses that they have at the moment."""
    real = dialer.addresses
    names: dict[str, list[str]] = {}

    async def resolved(host: str, port: int) -> Any:
        addresses = names.get(host, [host])
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [found for address in addresses for found in await real(address, port)]

    with mock.patch.object(dialer, "addresses", resolved):
        yield names


def named(upstream: Upstream) -> str:
    """The URL of an upstream by name."""
    return upstream.url.replace("127.0.0.1", NAME)
