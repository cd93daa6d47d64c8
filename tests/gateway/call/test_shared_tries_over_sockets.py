"""Two proxies share lost tries through a ledger, over real sockets."""

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from proxy import config
from proxy.callers.ledger.sqlite import SqliteFile
from proxy.gateway.app import App
from proxy.gateway.call.shared_tries import SharedTries
from proxy.gateway.call.tries_link import TriesLink
from proxy.gateway.server import listeners, server
from tests.support.ledgers import Connect
from tests.support.proxy import HEAD, Proxy
from tests.support.upstream import Upstream, held
from tests.support.waiting import until
from tests.support.wire import reset_on_close

BODY = b'{"revision":"main"}'
CALL = f"{HEAD}Authorization: Bearer secret-token\r\nContent-Length: {len(BODY)}\r\n\r\n".encode() + BODY


@contextlib.contextmanager
def sharing(url: str, folder: Path, connect: Connect) -> Iterator[Proxy]:
    """A proxy with a ledger and a folder of its own."""
    folder.mkdir()
    log = folder / "callers.jsonl"
    callers = {"log": str(log), "fingerprint_key": "a key that both proxies have"}
    settings = config.load(None, {}, {"callers": callers, "admin": None, "upstream": {"url": url}})
    app, public = App(settings, ledger=connect), listeners.loopback()
    with server.background(app, public):
        yield Proxy("127.0.0.1", public.getsockname()[1], log, app)


@pytest.fixture
def proxies(upstream: Upstream, tmp_path: Path, connect: Connect) -> Iterator[tuple[Proxy, Proxy]]:
    with (
        sharing(upstream.url, tmp_path / "one", connect) as one,
        sharing(upstream.url, tmp_path / "other", connect) as other,
    ):
        yield one, other


def shared(proxy: Proxy) -> SharedTries:
    assert proxy.app is not None
    return proxy.app._shared_tries


def rows(proxy: Proxy) -> list[Any]:
    return list(shared(proxy)._link.snapshot.rows.values())


def hang_up(proxy: Proxy, upstream: Upstream, *, with_reset: bool = False) -> None:
    """Call, and hang up once the service has the call."""
    calls = len(upstream.received)
    with proxy.wire(CALL) as wire:
        until(lambda: len(upstream.received) > calls)
        if with_reset:
            reset_on_close(wire.socket)


def outcomes(proxy: Proxy) -> list[str]:
    return [record["outcome"] for record in proxy.records()]


@pytest.mark.parametrize("with_reset", [False, True])
def test_a_retry_at_another_proxy_gets_the_run_of_a_try_that_is_over(
    upstream: Upstream, proxies: tuple[Proxy, Proxy], *, with_reset: bool
) -> None:
    one, other = proxies
    release = threading.Event()
    upstream.script = held(release)
    hang_up(one, upstream, with_reset=with_reset)
    until(lambda: rows(one))
    release.set()
    until(lambda: [row for row in rows(other) if row.is_settled])

    assert other.call(body=BODY).json() == {"flux_id": "7", "flux_public_id": "7", "trigger_status": "already_exists"}
    until(lambda: (outcomes(one), outcomes(other)) == (["forwarded"], ["redelivered"]))
    until(lambda: not rows(one) and not rows(other))
    assert one.call(body=BODY).json()["trigger_status"] == "created"
    assert len(upstream.received) == 2


def test_a_retry_at_another_proxy_waits_for_a_try_under_way(upstream: Upstream, proxies: tuple[Proxy, Proxy]) -> None:
    one, other = proxies
    release = threading.Event()
    upstream.script = held(release)
    hang_up(one, upstream)
    until(lambda: rows(other))
    with ThreadPoolExecutor() as callers:
        retry = callers.submit(other.call, body=BODY)
        until(lambda: [row for row in rows(one) if row.claimant])
        release.set()
        assert retry.result(60).json()["trigger_status"] == "already_exists"
    assert len(upstream.received) == 1


def test_a_run_wanders_from_proxy_to_proxy_until_somebody_gets_it(
    upstream: Upstream, proxies: tuple[Proxy, Proxy]
) -> None:
    one, other = proxies
    release = threading.Event()
    upstream.script = held(release)
    hang_up(one, upstream)
    until(lambda: rows(other))
    with other.wire(CALL):
        until(lambda: [row for row in rows(one) if row.claimant])
    until(lambda: len(rows(one)) == 2)
    release.set()
    until(lambda: [row.is_settled for row in rows(one)] == [True])
    assert one.call(body=BODY).json()["trigger_status"] == "already_exists"
    until(lambda: outcomes(other) == ["redelivered"])  # its row is changed first
    assert len(upstream.received) == 1


def test_a_call_that_is_nobodys_retry_asks_the_ledger_nothing(
    upstream: Upstream, proxies: tuple[Proxy, Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = proxies
    monkeypatch.delattr(TriesLink, "put")
    monkeypatch.delattr(TriesLink, "change")
    assert [proxy.call(body=BODY).status for proxy in (one, other, one)] == [200] * 3
    assert len(upstream.received) == 3


def test_the_ledger_holds_nothing_that_a_caller_sent(upstream: Upstream, tmp_path: Path) -> None:
    path = tmp_path / "callers.db"
    body = b'{"input":{"values":[{"name":"a","value":"a secret input"}]}}'
    call = CALL.replace(b"Content-Length: 19", b"Content-Length: %d" % len(body)).replace(BODY, body)
    release = threading.Event()
    upstream.script = held(release)
    with sharing(upstream.url, tmp_path / "one", lambda: SqliteFile(path)) as proxy:
        with proxy.wire(call):
            until(lambda: upstream.received)
        until(lambda: rows(proxy))
        release.set()
        until(lambda: rows(proxy)[0].is_settled)
        stored = b"".join(file.read_bytes() for file in tmp_path.glob("callers.db*"))
    assert b"tries" in stored
    for secret in (b"secret-token", b"a secret input", b"ci_workflows", body):
        assert secret not in stored
