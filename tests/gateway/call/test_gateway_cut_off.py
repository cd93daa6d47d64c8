"""Requests and answers that are cut off."""

import contextlib
from collections.abc import Callable

import pytest

from tests.gateway.call.relaying import BEGIN, chunk, get, pour
from tests.support.by_hand import ByHand
from tests.support.wire import Broken, Wire

CUT = [
    b"Content-Length: 9\r\n\r\n12345678",
    b"Transfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n9\r\n12345678",
    b"Transfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n0\r\n",
]


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("end", [Wire.close, Wire.reset])
@pytest.mark.parametrize("cut", CUT)
@pytest.mark.parametrize("target", [b"/x", b"/acme/shop/cicd/runs"])
def test_an_answer_that_is_cut_off_never_looks_whole(
    hands: ByHand, version: bytes, end: Callable[[Wire], None], cut: bytes, target: bytes
) -> None:
    caller = hands.caller(get(target, version=version))
    upstream = hands.upstream()
    upstream.head()
    upstream.send(b"HTTP/1.1 200 OK\r\n" + cut)
    assert caller.head().status == 200
    end(upstream)
    with pytest.raises((Broken, ConnectionResetError)):
        whole_body(caller, chunked=b"chunked" in cut and version == b"1.1", length=b"Length" in cut)


def whole_body(caller: Wire, *, chunked: bool, length: bool) -> None:
    if chunked:
        caller.chunks()
    elif length:
        caller.body(9)
    else:
        caller.rest()


def test_an_answer_that_ends_with_its_connection_and_is_reset_never_looks_whole(hands: ByHand) -> None:
    caller = hands.caller(get())
    upstream = hands.upstream()
    upstream.head()
    upstream.send(b"HTTP/1.1 200 OK\r\n\r\n12345678")
    caller.head()
    assert caller.chunk() == b"12345678"
    upstream.reset()
    with pytest.raises((Broken, ConnectionResetError)):
        caller.chunks()


@pytest.mark.parametrize("end", [Wire.close, Wire.reset])
@pytest.mark.parametrize(
    ("framing", "sent"),
    [(b"Content-Length: 70000\r\n", BEGIN), (b"Transfer-Encoding: chunked\r\n", chunk(BEGIN))],
)
def test_a_request_that_is_cut_off_is_cut_off_upstream_too(
    hands: ByHand, end: Callable[[Wire], None], framing: bytes, sent: bytes
) -> None:
    caller = hands.caller(get(b"/x", framing, b"PUT") + sent)
    upstream = hands.upstream()
    upstream.head()
    assert upstream.body(len(sent)) == sent
    end(caller)
    with contextlib.suppress(ConnectionResetError):
        assert upstream.rest() == b""


@pytest.mark.parametrize("end", [Wire.close, Wire.reset])
def test_a_caller_that_leaves_its_download_ends_the_upstreams(hands: ByHand, end: Callable[[Wire], None]) -> None:
    caller = hands.caller(get())
    upstream = hands.upstream()
    upstream.head()
    upstream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"x"))
    caller.head()
    end(caller)
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        pour(upstream, 256 << 20)


def test_an_early_answer_is_handed_on_while_the_upload_goes_on(hands: ByHand) -> None:
    caller = hands.caller(get(b"/x", b"Content-Length: 1000000\r\n", b"PUT") + BEGIN)
    upstream = hands.upstream()
    upstream.head()
    upstream.send(b"HTTP/1.1 413 X\r\nContent-Length: 2\r\n\r\nno")
    head, body = caller.answer()
    assert (head.status, body) == (413, b"no")
    # The rest of the body can go nowhere, and the next request could not be told from it.
    assert caller.ended()
    assert upstream.ended()


def test_an_answer_may_begin_before_the_request_ends(hands: ByHand) -> None:
    caller = hands.caller(get(b"/x", b"Transfer-Encoding: chunked\r\n", b"POST") + chunk(BEGIN))
    upstream = hands.upstream()
    upstream.head()
    upstream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert upstream.chunk() == BEGIN
    upstream.send(chunk(b"AB"))
    caller.head()
    assert caller.chunk() == b"AB"
    caller.send(chunk(b"cd") + b"0\r\n\r\n")
    assert upstream.chunks() == b"cd"
    upstream.send(chunk(b"CD") + b"0\r\n\r\n")
    assert caller.chunks() == b"CD"
