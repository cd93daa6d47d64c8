"""What strangers can take with bodies that are slow, or many."""

import contextlib
import functools
import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proxy import errors
from proxy.gateway.call.body import FORWARDED_FROM
from proxy.gateway.server import exchange, protocol, server
from tests.support.by_hand import by_hand
from tests.support.proxy import HEAD, proxy_for, watched
from tests.support.scrape import Scrape
from tests.support.upstream import Upstream
from tests.support.waiting import until
from tests.support.wire import Wire, dripping

UPLOAD = b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n"


def test_uploads_of_one_byte_take_no_connection_to_the_service(upstream: Upstream, tmp_path: Path) -> None:
    with (
        proxy_for(upstream.url, tmp_path, upstream={"max_connections": 1}) as proxy,
        contextlib.ExitStack() as strangers,
    ):
        for framing in (b"Content-Length: 100000", b"Transfer-Encoding: chunked"):
            stranger = strangers.enter_context(Wire(proxy.connect()))
            stranger.send(b"POST /x HTTP/1.1\r\nHost: h\r\n%b\r\n\r\n1" % framing)
        assert proxy.call("/x").status == 200
        assert upstream.connections == 1


@pytest.mark.parametrize("size", [2, FORWARDED_FROM + 1], ids=["small", "large"])
def test_a_small_body_is_forwarded_whole_and_a_large_one_from_64_kib_on(tmp_path: Path, size: int) -> None:
    body = bytes(size)
    with by_hand(tmp_path) as hands:
        caller = hands.caller(UPLOAD % size + body[:-1])
        if size == 2:
            hands.proxy.call("/-/healthz", None, method="GET")  # it has read the first byte by now
            hands._listener.setblocking(False)
            with pytest.raises(BlockingIOError):
                hands._listener.accept()
            caller.send(body[-1:])
        upstream = hands.upstream()
        upstream.head()
        assert upstream.body(size - (size > 2)) == body[: size - (size > 2)]
        if size > 2:
            caller.send(body[-1:])
            assert upstream.body(1) == body[-1:]


def test_a_body_that_is_slower_than_the_rate_is_408_though_it_never_pauses(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "TICK", 0.01)
    monkeypatch.setattr(exchange, "RATE_GRACE", 0.2)
    with watched(upstream.url, tmp_path) as (proxy, admin), Wire(proxy.connect()) as slow:
        slow.send(UPLOAD % 100_000)
        with dripping([slow.socket], 0.02):
            head, body = slow.answer()
        assert (head.status, b"bytes a second" in body) == (408, True)
        assert Scrape(admin).value("refusals_total", limit="body_rate") == 1
    assert upstream.connections == 0


def test_a_body_that_pauses_is_408(upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "TICK", 0.01)
    monkeypatch.setattr(protocol, "BODY_TIMEOUT", 0.1)
    with proxy_for(upstream.url, tmp_path) as proxy, Wire(proxy.connect()) as slow:
        slow.send(UPLOAD % 9 + b"1")
        head, body = slow.answer()
        assert (head.status, b"paused" in body) == (408, True)


# --- many


LIMITS = {"body": "64KiB", "buffered": "256KiB"}
SIZE = 50 << 10
LARGEST = 60 << 10
"""A fifth one of this size is the largest by the time the limit is reached, however it is cut into pieces."""

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def _holds(held: Callable[[], float], bodies: int) -> bool:
    return held() >= bodies * SIZE


@pytest.mark.parametrize("path", ["trigger", "upload"])
def test_beyond_the_budget_the_largest_body_is_503_and_small_ones_go_on(
    upstream: Upstream, tmp_path: Path, path: str
) -> None:
    line = HEAD.encode() if path == "trigger" else b"POST /x HTTP/1.1\r\nHost: h\r\n"
    with (
        watched(upstream.url, tmp_path, limits=LIMITS) as (proxy, admin),
        contextlib.ExitStack() as stack,
    ):
        budget = proxy.app._budget  # type: ignore[union-attr]
        large = [stack.enter_context(Wire(proxy.connect())) for _ in range(5)]
        small = stack.enter_context(Wire(proxy.connect()))
        small.send(line + b"Content-Length: 2\r\n\r\n{")
        for number, caller in enumerate(large):
            size = SIZE if number < 4 else LARGEST
            caller.send(line + b"Content-Length: %d\r\n\r\n{" % (size + 1) + b" " * (size - 1))
            if number < 4:
                until(functools.partial(_holds, lambda: budget.total, number + 1))
            if number == 3:
                until(lambda: Scrape(admin)["buffered_bytes"] >= 4 * SIZE)
        head, body = large[4].answer()
        assert (head.status, head.all(b"retry-after"), b"Overloaded" in body) == (503, [b"1"], True)
        assert Scrape(admin).value("refusals_total", limit="buffered") == 1
        for caller in (small, *large[:3]):
            caller.send(b"}")
            assert caller.answer()[0].status == 200


def test_a_body_counts_until_its_call_is_over(tmp_path: Path) -> None:
    with by_hand(tmp_path, limits=LIMITS) as hands:
        budget = hands.proxy.app._budget  # type: ignore[union-attr]
        caller = hands.caller(HEAD.encode() + b"Content-Length: %d\r\n\r\n{}" % SIZE + b" " * (SIZE - 2))
        hands.upstream().head()
        assert budget.total == SIZE
        caller.close()
    assert budget.total == 0


def test_large_heads_and_bodies_sent_ahead_count(tmp_path: Path) -> None:
    with by_hand(tmp_path, limits=LIMITS) as hands:
        budget = hands.proxy.app._budget  # type: ignore[union-attr]
        head = hands.caller(b"GET / HTTP/1.1\r\nHost: h\r\nX-Long: " + b"x" * SIZE)
        until(lambda: budget.total > SIZE)
        head.close()
        until(lambda: budget.total == 0)
        ahead = hands.caller(b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n" + UPLOAD % SIZE + b"x" * (SIZE - 1))
        until(lambda: budget.total >= SIZE - 1)
        ahead.close()
        hands.upstream().send(OK)
        until(lambda: budget.total == 0)


def test_beyond_the_budget_the_longest_head_is_503(upstream: Upstream, tmp_path: Path) -> None:
    with proxy_for(upstream.url, tmp_path, limits=LIMITS) as proxy, contextlib.ExitStack() as stack:
        budget = proxy.app._budget  # type: ignore[union-attr]
        heads = [stack.enter_context(Wire(proxy.connect())) for _ in range(5)]
        for number, caller in enumerate(heads):
            caller.send(b"GET /x HTTP/1.1\r\nHost: h\r\nX-Long: " + b"x" * (SIZE if number < 4 else LARGEST))
            if number < 4:
                until(functools.partial(_holds, lambda: budget.total, number + 1))
        assert heads[4].answer()[0].status == 503
        heads[0].send(b"\r\n\r\n")
        assert heads[0].answer()[0].status == 200


@contextlib.contextmanager
def freed(kind: type) -> Iterator[None]:
    """Fail if what the block makes of a kind is not freed without a garbage collection."""

    def count() -> int:
        return sum(isinstance(one, kind) for one in gc.get_objects())

    gc.collect()
    before = count()
    gc.disable()
    try:
        yield
        until(lambda: count() <= before)
    finally:
        gc.enable()


def test_a_refused_body_is_freed_without_a_garbage_collection(upstream: Upstream, tmp_path: Path) -> None:
    with (
        proxy_for(upstream.url, tmp_path, limits={"body": "5000"}) as proxy,
        freed(errors.ProxyError),
        Wire(proxy.connect()) as caller,
    ):
        caller.send(HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\n1770\r\n" + bytes(6000) + b"\r\n")
        assert caller.answer()[0].status == 413
        assert caller.ended()


@pytest.mark.parametrize("length", [2, 5000, 200_000])
def test_a_request_is_freed_without_a_garbage_collection(upstream: Upstream, tmp_path: Path, length: int) -> None:
    with proxy_for(upstream.url, tmp_path) as proxy, freed(exchange.Exchange), Wire(proxy.connect()) as caller:
        caller.send(UPLOAD % length + bytes(length - 1))
        caller.send(b"1")
        assert caller.answer()[0].status == 200
