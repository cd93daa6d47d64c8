"""Connections that are used again, and requests that are sent again."""

from collections.abc import Callable

import pytest

from tests.gateway.call.relaying import OK, answered, framed, get, post
from tests.support.by_hand import ByHand
from tests.support.wire import Wire


def test_a_callers_connection_stays_good_whatever_the_upstream_does_with_its_own(hands: ByHand) -> None:
    caller = hands.caller()
    for _ in range(3):
        caller.send(get(headers=b"Connection: keep-alive\r\n"))
        upstream = hands.upstream()
        upstream.head()
        upstream.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
        head, body = caller.answer()
        assert (head.all(b"connection"), body) == ([], b"ok")


def idle(hands: ByHand) -> Wire:
    """The other end of a connection in the proxy's pool."""
    caller = hands.caller(get(b"/first"))
    upstream = hands.upstream()
    upstream.head()
    upstream.send(OK)
    caller.answer()
    return upstream


@pytest.mark.parametrize("target", [b"/x", b"/acme/shop/cicd/runs"])
@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS"])
@pytest.mark.parametrize("end", [Wire.close, Wire.reset])
def test_a_harmless_request_that_met_a_closing_connection_is_sent_again_on_a_fresh_one(
    hands: ByHand, target: bytes, method: bytes, end: Callable[[Wire], None]
) -> None:
    stale = idle(hands)
    caller = hands.caller(get(target, method=method))
    lost = stale.head()
    end(stale)
    fresh = hands.upstream()
    assert fresh.head() == lost
    fresh.send(OK)
    assert caller.answer(method.decode()).status == 200


@pytest.mark.parametrize(
    "request_",
    [
        post(b""),
        get(method=b"DELETE"),
        get(method=b"PATCH"),
        get(method=b"PUT"),
        get(method=b"PROPFIND"),
        get(b"/acme/shop", b"Content-Length: 2\r\n", b"PATCH") + b"{}",
        get(b"/x", b"Content-Length: 2\r\n") + b"{}",
    ],
    ids=lambda request: repr(request[:30]),
)
def test_any_other_request_is_sent_once(hands: ByHand, request_: bytes) -> None:
    stale = idle(hands)
    caller = hands.caller(request_)
    stale.head()
    stale.close()
    head, body = caller.answer()
    assert head.status == 502
    assert b'"UpstreamConnectionLost"' in body
    assert_no_more_connections(hands)


def assert_no_more_connections(hands: ByHand) -> None:
    hands._listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        hands._listener.accept()


def test_a_harmless_request_is_sent_again_once_and_only_over_a_connection_used_before(hands: ByHand) -> None:
    caller = hands.caller(get())
    upstream = hands.upstream()
    upstream.head()
    upstream.close()
    assert caller.answer().status == 502
    assert_no_more_connections(hands)


def test_a_harmless_request_is_not_sent_again_once_an_answer_has_begun(hands: ByHand) -> None:
    upstream = idle(hands)
    caller = hands.caller(get())
    upstream.head()
    upstream.send(b"H")
    upstream.close()
    assert caller.answer().status == 502
    assert_no_more_connections(hands)


@pytest.mark.parametrize("surplus", [OK, b"garbage", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"])
@pytest.mark.parametrize("first", [OK, framed(b"ok", "chunks"), b"HTTP/1.1 304 X\r\n\r\n", b"HTTP/1.1 204 X\r\n\r\n"])
def test_what_follows_an_answer_is_nobodys(hands: ByHand, first: bytes, surplus: bytes) -> None:
    answered(hands, first + surplus)
    fresh_caller = hands.caller(get())
    fresh = hands.upstream()
    fresh.head()
    fresh.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine")
    assert fresh_caller.answer().body == b"mine"
