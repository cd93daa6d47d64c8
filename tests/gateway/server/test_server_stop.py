"""A stop loses no call of a caller that keeps its connection."""

import contextlib
import functools
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.gateway.server import protocol, server
from tests.gateway.server.samples import GET
from tests.support.certificates import certified
from tests.support.proxy import HEAD, Proxy, proxy_for
from tests.support.upstream import Upstream
from tests.support.waiting import PATIENCE, until
from tests.support.wire import Wire

RUN = f"{HEAD}Content-Length: 2\r\n\r\n{{}}".encode()


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop waits for callers however slow they are."""
    monkeypatch.setattr(protocol, "IDLE_GRACE", PATIENCE)
    monkeypatch.setattr(server, "background", functools.partial(server.background, drain=PATIENCE))


@contextlib.contextmanager
def stopping(running: contextlib.ExitStack, proxy: Proxy) -> Iterator[None]:
    """Stop a proxy. The block runs while it stops, and it is waited for at the end."""
    thread = threading.Thread(target=running.close)
    thread.start()
    until(lambda: refuses(proxy))
    yield
    thread.join()


def refuses(proxy: Proxy) -> bool:
    try:
        proxy.connect().close()
    except ConnectionError:  # it is reset if the listener was closed meanwhile
        return True
    return False


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("before", [b"", GET], ids=["new", "used"])
@pytest.mark.parametrize("begun", [0, 20], ids=["idle", "in the middle of a request"])
@pytest.mark.parametrize("tls", [False, True])
def test_a_connection_is_open_for_the_next_call(
    upstream: Upstream, tmp_path: Path, before: bytes, begun: int, *, tls: bool
) -> None:
    with contextlib.ExitStack() as running:
        certificate, trust = certified(tmp_path)
        proxy = running.enter_context(proxy_for(upstream.url, tmp_path, tls=certificate if tls else None))
        connection = proxy.connect()
        with Wire(trust.wrap_socket(connection, server_hostname="127.0.0.1") if tls else connection) as wire:
            if before:
                wire.send(before)
                assert wire.answer().header("connection") is None
            wire.send(RUN[:begun])
            with stopping(running, proxy):
                wire.send(RUN[begun:])
                answer = wire.answer()
                assert (answer.status, answer.header("connection")) == (200, "close")
                assert wire.ended()
                wire.close()
        assert [record["outcome"] for record in proxy.records()] == ["forwarded"]


@pytest.mark.usefixtures("unhurried")
def test_an_answer_that_said_nothing_about_the_end_is_followed_by_another(upstream: Upstream, tmp_path: Path) -> None:
    goes_on = threading.Event()

    def script(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n0123456789")
        assert goes_on.wait(PATIENCE)
        connection.sendall(b"0123456789")

    upstream.script = script
    with contextlib.ExitStack() as running:
        proxy = running.enter_context(proxy_for(upstream.url, tmp_path))
        with proxy.wire(GET) as wire:
            assert b"connection" not in dict(wire.head().headers)
            assert wire.body(10) == b"0123456789"
            with stopping(running, proxy):
                goes_on.set()
                assert wire.body(10) == b"0123456789"
                wire.send(b"GET /-/healthz HTTP/1.1\r\nHost: h\r\n\r\n")
                answer = wire.answer()
                assert (answer.status, answer.header("connection")) == (200, "close")
                wire.close()


def test_who_sends_nothing_more_does_not_hold_up_the_stop(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "IDLE_GRACE", 0.05)
    with contextlib.ExitStack() as callers:
        with proxy_for(upstream.url, tmp_path) as proxy:
            new, begun = (callers.enter_context(proxy.wire(sent)) for sent in (b"", b"GET /a HT"))
            kept = callers.enter_context(proxy.wire(GET))
            assert kept.answer().status == 200
        assert new.rest() == kept.rest() == b""
        assert begun.answer().status == 408


def test_what_is_open_at_the_end_of_the_drain_is_closed(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "IDLE_GRACE", 10 * PATIENCE)
    monkeypatch.setattr(protocol, "LINGER", 10 * PATIENCE)
    monkeypatch.setattr(server, "background", functools.partial(server.background, drain=0.05))
    with contextlib.ExitStack() as callers:
        with proxy_for(upstream.url, tmp_path) as proxy:
            open_ones = [callers.enter_context(proxy.wire(sent)) for sent in (b"", b"GET /a HT", b"no request\r\n\r\n")]
            assert open_ones[-1].answer().status == 400
        assert all(wire.ended() for wire in open_ones)
