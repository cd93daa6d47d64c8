"""Readers of the report that leave before it is made."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.gateway.admin import report as live
from proxy.gateway.server.descriptors import ADMIN_CONNECTIONS
from tests.support.proxy import Proxy, watched
from tests.support.upstream import Upstream
from tests.support.waiting import until
from tests.support.wire import Answer, Wire

ASK = b"GET /callers.json HTTP/1.1\r\nHost: localhost\r\n\r\n"


def get(admin: Proxy, path: str) -> Answer:
    return admin.call(path, None, method="GET")


class Held:
    """A report whose making ends when a test says so."""

    def __init__(self) -> None:
        self.begun = 0
        self.may_end = threading.Event()

    def __call__(self, *_: Any) -> bytes:
        self.begun += 1
        assert self.may_end.wait(60)
        return b"{}"


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    made = Held()
    monkeypatch.setattr(live, "_report", made)
    monkeypatch.setattr(live, "SHORTEST_LIFE", 3600.0)
    yield made
    made.may_end.set()


@pytest.mark.parametrize("leave", [Wire.reset, Wire.close], ids=["reset", "close"])
def test_who_hangs_up_is_dropped_and_the_others_get_the_report(
    upstream: Upstream, tmp_path: Path, held: Held, leave: Any
) -> None:
    with watched(upstream.url, tmp_path) as (_, admin):
        first, second = Wire(admin.connect()), Wire(admin.connect())
        first.send(ASK)
        until(lambda: held.begun)
        second.send(ASK)
        # The proxy has seen what happened on a connection once it answers somebody who came later.
        assert get(admin, "/healthz").status == 200
        leave(first)
        assert get(admin, "/healthz").status == 200
        held.may_end.set()
        assert second.answer().body == b"{}"
        second.close()

    assert held.begun == 1


def test_readers_who_come_and_go_start_one_report_of_each_form(upstream: Upstream, tmp_path: Path, held: Held) -> None:
    with watched(upstream.url, tmp_path) as (_, admin):
        for ask in [ASK, ASK.replace(b".json", b"")] * 5:
            wire = Wire(admin.connect())
            wire.send(ask)
            until(lambda: held.begun)
            wire.reset()
        assert get(admin, "/healthz").status == 200
        assert held.begun == 1
        held.may_end.set()
        assert get(admin, "/callers.json").body == get(admin, "/callers").body == b"{}"

    assert held.begun == 2


def test_who_ends_its_side_of_the_connection_gets_no_report(upstream: Upstream, tmp_path: Path, held: Held) -> None:
    with watched(upstream.url, tmp_path) as (_, admin), Wire(admin.connect()) as wire:
        wire.send(ASK)
        until(lambda: held.begun)
        wire.socket.shutdown(1)
        assert wire.answer().status == 503


def test_a_report_that_hangs_does_not_keep_the_proxy_from_stopping(
    upstream: Upstream, tmp_path: Path, held: Held
) -> None:
    with watched(upstream.url, tmp_path) as (_, admin):
        wire = Wire(admin.connect())
        wire.send(ASK)
        until(lambda: held.begun)
        wire.close()

    assert not held.may_end.is_set()


def test_the_admin_listener_has_a_limit_of_connections_of_its_own(
    upstream: Upstream, tmp_path: Path, stderr: Path
) -> None:
    with watched(upstream.url, tmp_path) as (proxy, admin):
        idle = [Wire(admin.connect()) for _ in range(ADMIN_CONNECTIONS)]
        for wire in idle:
            wire.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert wire.answer().status == 200
        waiting = Wire(admin.connect())
        waiting.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        said = until(stderr.read_text)
        assert proxy.call().status == 200
        waiting.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            waiting.socket.recv(1)
        waiting.socket.settimeout(60)
        idle.pop().close()
        assert waiting.answer().status == 200
        for wire in (*idle, waiting):
            wire.close()

    assert said == (
        'trigger-shim: warning: connections waiting reason="too many connections" limit=32: '
        "the admin listener has no more; see who keeps them\n"
    )
