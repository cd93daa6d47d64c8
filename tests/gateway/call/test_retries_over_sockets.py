"""Retries of lost calls, through the proxy."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.proxy import HEAD, TRIGGER, Proxy, proxy_for, watched
from tests.support.scrape import Scrape
from tests.support.upstream import Script, Upstream, closes, held, reply
from tests.support.waiting import until

HEADERS = {"Authorization": "Bearer secret-token"}
BODY = b'{"revision":"main"}'


@pytest.fixture
def pages(upstream: Upstream, tmp_path: Path) -> Iterator[tuple[Proxy, Proxy]]:
    with watched(upstream.url, tmp_path) as running:
        yield running


def call_and_hang_up(proxy: Proxy, when: Callable[[], object]) -> None:
    """A call whose caller hangs up at some time, which the proxy has seen afterwards."""
    head = f"{HEAD}Authorization: Bearer secret-token\r\nContent-Length: {len(BODY)}\r\n\r\n"
    with proxy.wire(head.encode() + BODY):
        until(when)
    proxy.has_read()


@contextlib.contextmanager
def lost_call(proxy: Proxy, upstream: Upstream, answer: Script | None = None) -> Iterator[None]:
    """In the block, the upstream still works on a call whose caller has hung up; after it, that has its record."""
    begun, release = threading.Event(), threading.Event()

    def script(connection: socket.socket) -> None:
        begun.set()
        assert release.wait(20)
        (answer or reply())(connection)

    upstream.script = script
    records = len(proxy.records())
    call_and_hang_up(proxy, begun.is_set)  # once it has arrived, it might still get the script of the next call
    yield
    release.set()
    until(lambda: len(proxy.records()) > records)
    upstream.script = reply()


def outcomes(proxy: Proxy) -> list[str]:
    return [record["outcome"] for record in proxy.records()]


def under_way(admin: Proxy) -> float:
    return Scrape(admin).value("calls_in_flight", kind="withdrawn")


def test_a_retry_gets_the_run_that_its_lost_try_has_started(upstream: Upstream, proxy: Proxy) -> None:
    with lost_call(proxy, upstream):
        pass
    answer = proxy.call(body=BODY)
    run = {"flux_id": "7", "flux_public_id": "7", "trigger_status": "already_exists"}
    assert (answer.status, answer.json()) == (200, run)
    assert answer.header("deprecation") is not None
    assert len(upstream.received) == 1
    lost, retried = proxy.records()
    assert (lost["outcome"], lost["client_gone"], lost["trigger_status"]) == ("forwarded", True, "created")
    assert (retried["outcome"], retried["status"], retried["run"]) == ("redelivered", 200, "7")
    assert (retried["trigger_status"], retried["run_user"]) == ("already_exists", "alice")
    assert retried.keys().isdisjoint({"upstream_status", "upstream_ms"})
    assert proxy.call(body=BODY).json()["trigger_status"] == "created"
    assert len(upstream.received) == 2


def test_a_retry_waits_for_a_lost_try_that_is_still_under_way(upstream: Upstream, pages: tuple[Proxy, Proxy]) -> None:
    proxy, admin = pages
    with ThreadPoolExecutor() as callers:
        with lost_call(proxy, upstream):
            retry = callers.submit(proxy.call, body=BODY)
            until(lambda: under_way(admin) == 2)
        assert retry.result(20).json()["trigger_status"] == "already_exists"
    assert len(upstream.received) == 1
    assert outcomes(proxy) == ["forwarded", "redelivered"]


def test_a_retry_that_is_lost_itself_leaves_the_run_to_the_next(upstream: Upstream, pages: tuple[Proxy, Proxy]) -> None:
    proxy, admin = pages
    with lost_call(proxy, upstream):
        call_and_hang_up(proxy, lambda: under_way(admin) == 2)
    until(lambda: len(proxy.records()) == 2)
    assert proxy.call(body=BODY).json()["trigger_status"] == "already_exists"
    assert outcomes(proxy) == ["forwarded", "redelivered", "redelivered"]
    assert len(upstream.received) == 1


def test_two_callers_that_both_wait_have_two_runs(upstream: Upstream, proxy: Proxy) -> None:
    release = threading.Event()
    upstream.script = held(release)
    with ThreadPoolExecutor() as callers:
        calls = [callers.submit(proxy.call, body=BODY) for _ in range(2)]
        until(lambda: len(upstream.received) == 2)
        release.set()
        assert [call.result(20).json()["trigger_status"] for call in calls] == ["created", "created"]
    assert outcomes(proxy) == ["forwarded", "forwarded"]


@pytest.mark.parametrize(
    ("path", "headers", "body"),
    [
        ("/acme/shop/ci_workflows/other/trigger", HEADERS, BODY),
        (TRIGGER, {"Authorization": "Bearer another"}, BODY),
        (TRIGGER, HEADERS, BODY + b" "),
    ],
)
def test_who_says_anything_else_starts_a_run(
    upstream: Upstream, proxy: Proxy, path: str, headers: dict[str, str], body: bytes
) -> None:
    with lost_call(proxy, upstream):
        pass
    assert proxy.call(path, body, headers).json()["trigger_status"] == "created"
    assert len(upstream.received) == 2


@pytest.mark.parametrize("status", ["success", "failed", "prepared", "awaiting_approval", "rejected", "on_holiday"])
def test_a_lost_run_is_given_to_its_retry_whatever_its_status(upstream: Upstream, proxy: Proxy, status: str) -> None:
    run = b'{"id":"","slug":"8","status":"%b","workflows":[]}' % status.encode()
    with lost_call(proxy, upstream, reply(body=run)):
        pass
    answer = proxy.call(body=BODY).json()
    assert (answer["flux_public_id"], answer["trigger_status"]) == ("8", "already_exists")
    assert len(upstream.received) == 1
    assert outcomes(proxy) == ["forwarded", "redelivered"]


@pytest.mark.parametrize("answer", [reply(409, b'{"error_code":"E"}'), reply(503, b'{"message":"E"}'), closes()])
@pytest.mark.parametrize("meanwhile", [False, True])
def test_a_retry_of_what_failed_is_forwarded(
    upstream: Upstream, pages: tuple[Proxy, Proxy], answer: Script, *, meanwhile: bool
) -> None:
    proxy, admin = pages
    with ThreadPoolExecutor() as callers:
        with lost_call(proxy, upstream, answer):
            if meanwhile:
                retry = callers.submit(proxy.call, body=BODY)
                until(lambda: under_way(admin) == 2)
                upstream.script = reply()
        if not meanwhile:
            retry = callers.submit(proxy.call, body=BODY)
        assert retry.result(20).json()["trigger_status"] == "created"
    assert len(upstream.received) == 2


def test_without_a_window_every_call_starts_a_run(upstream: Upstream, tmp_path: Path) -> None:
    with proxy_for(upstream.url, tmp_path, limits={"retry_window": 0}) as proxy:
        with lost_call(proxy, upstream):
            pass
        assert proxy.call(body=BODY).json()["trigger_status"] == "created"
    assert len(upstream.received) == 2
