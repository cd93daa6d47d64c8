"""What goes upstream of a request: its method, its target and its body."""

from pathlib import Path

import pytest

from tests.gateway.call.relaying import BODIES, OK, begun, begun_at, chunk, forwarded, get, post
from tests.support.by_hand import ByHand, by_hand


@pytest.mark.parametrize(
    "method", [b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"PROPFIND", b"PURGE", b"M-SEARCH", b"REPORT"]
)
def test_any_method_goes_through(hands: ByHand, method: bytes) -> None:
    assert forwarded(hands, get(b"/x", b"", method)).line == method + b" /x HTTP/1.1"


@pytest.mark.parametrize(
    "target",
    [
        b"/",
        b"//a//b/",
        b"/a/../b/./c",
        b"/%2e%2e/a",
        b"/a%2Fb/%7E/~/a;b=1,2",
        b"/a%20b+c%zz%",
        b"/x?",
        b"/x??",
        b"/?a=1&a=2&&b",
        b"/x?page_token=a%2Bb%3D",
        b"/x?a=%2F/../&b=http://e.example/",
        b"/x?a;b",
        b"/x?q=%D1%81%D0%B1+x",
        b'/x?{"a":"b|c^d`"}',
        b"/" + b"a" * 8000,
    ],
)
def test_path_and_query_go_through_byte_for_byte(hands: ByHand, target: bytes) -> None:
    assert forwarded(hands, get(target)).line == b"GET " + target + b" HTTP/1.1"


@pytest.mark.parametrize(
    ("target", "below"), [(b"/x?a=1", b"/x?a=1"), (b"/o/r/cicd/runs?", b"/repos/o/r/cicd/runs?"), (b"/", b"/")]
)
def test_the_path_of_the_upstreams_url_comes_first(tmp_path: Path, target: bytes, below: bytes) -> None:
    with by_hand(tmp_path, base="/base%2F/v1") as hands:
        assert forwarded(hands, get(target)).target == b"/base%2F/v1" + below


@pytest.mark.parametrize("body", BODIES, ids=len)
def test_a_body_with_a_length_goes_through_with_that_length(hands: ByHand, body: bytes) -> None:
    hands.caller(post(body, headers=b"Content-Encoding: gzip\r\nContent-Type: text/x; a=b\r\n"))
    upstream = hands.upstream()
    head = upstream.head()
    assert upstream.body(len(body)) == body
    assert (head.all(b"content-length"), head.all(b"transfer-encoding")) == ([b"%d" % len(body)], [])
    assert (head.all(b"content-encoding"), head.all(b"content-type")) == ([b"gzip"], [b"text/x; a=b"])


@pytest.mark.parametrize("body", BODIES, ids=len)
def test_a_body_in_chunks_goes_through_in_chunks_without_its_trailers(hands: ByHand, body: bytes) -> None:
    pieces = chunk(body[:7]) + (chunk(body[7:]) if body[7:] else b"")
    hands.caller(get(b"/x", b"Transfer-Encoding: chunked\r\n", b"PUT") + pieces + b"0\r\nX-Sum: 1\r\n\r\n")
    upstream = hands.upstream()
    head = upstream.head()
    assert upstream.chunks() == body
    assert (head.all(b"content-length"), head.all(b"transfer-encoding")) == ([], [b"chunked"])
    assert head.all(b"x-sum") == []


def test_an_empty_body_in_chunks_stays_one(hands: ByHand) -> None:
    hands.caller(get(b"/x", b"Transfer-Encoding: chunked\r\n", b"POST") + b"0\r\n\r\n")
    upstream = hands.upstream()
    assert upstream.head().all(b"transfer-encoding") == [b"chunked"]
    assert upstream.chunks() == b""


@pytest.mark.parametrize(
    ("request_", "lengths"),
    [(get(), []), (post(b""), [b"0"]), (get(method=b"DELETE"), []), (get(method=b"POST"), [])],
    ids=["GET", "POST 0", "DELETE", "POST"],
)
def test_a_request_without_a_body_does_not_get_one(hands: ByHand, request_: bytes, lengths: list[bytes]) -> None:
    hands.caller(request_)
    upstream = hands.upstream()
    head = upstream.head()
    assert (head.all(b"content-length"), head.all(b"transfer-encoding")) == (lengths, [])


def test_a_request_goes_on_as_it_comes_and_not_when_it_is_whole(hands: ByHand) -> None:
    caller = hands.caller(begun(6))
    upstream = begun_at(hands)
    for piece in (b"ab", b"cd", b"ef"):
        caller.send(piece)
        assert upstream.body(2) == piece


@pytest.mark.parametrize(
    "expect",
    [
        b"100-continue",
        b"100-Continue ",
        b"\t100-continue \t",
        b"x, 100-continue",
        b"100-continue ,x",
        b"x\r\nExpect: 100-continue",
    ],
)
def test_a_caller_that_waits_for_100_continue_is_told_to_go_on_and_the_upstream_is_not_asked(
    hands: ByHand, expect: bytes
) -> None:
    caller = hands.caller(get(b"/x", b"Content-Length: 2\r\nExpect:%b\r\n" % expect, b"PUT"))
    assert caller.head().line == b"HTTP/1.1 100 Continue"
    caller.send(b"{}")
    upstream = hands.upstream()
    assert upstream.head().all(b"expect") == []
    assert upstream.body(2) == b"{}"
    upstream.send(OK)
    assert caller.answer().status == 200
