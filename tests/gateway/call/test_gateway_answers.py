"""What goes back of an answer."""

import gzip
import socket
from pathlib import Path

import httpx
import pytest

from proxy import config
from proxy.gateway.app import App
from proxy.gateway.server import listeners, server
from tests.gateway.call.relaying import BODIES, OK, answered, chunk, forwarded, framed, get, record_of
from tests.support.by_hand import ByHand
from tests.support.proxy import Proxy, proxy_for
from tests.support.waiting import until


@pytest.mark.parametrize(
    "status", [200, 201, 202, 206, 207, 226, 299, 300, 400, 401, 404, 409, 410, 418, 429, 451, 499]
)
def test_a_status_goes_back_as_it_is(hands: ByHand, status: int) -> None:
    head, body = answered(hands, b"HTTP/1.1 %d X\r\nContent-Length: 3\r\n\r\nabc" % status)
    assert (head.status, body) == (status, b"abc")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_handed_on_and_not_followed(hands: ByHand, status: int) -> None:
    location = b"http://elsewhere.example/a%2Fb?c=%zz"
    head, _ = answered(hands, b"HTTP/1.1 %d X\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % (status, location))
    assert (head.status, head.all(b"location")) == (status, [location])


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 599])
def test_an_error_of_whatever_form_is_handed_on_untouched(hands: ByHand, status: int) -> None:
    fields = b"Content-Type: text/html\r\nRetry-After: 7\r\nProxy-Status: lb; error=x\r\n"
    head, body = answered(hands, b"HTTP/1.1 %d X\r\n%bContent-Length: 8\r\n\r\n<h1>\xff\x00ab" % (status, fields))
    assert (head.status, body) == (status, b"<h1>\xff\x00ab")
    assert (head.all(b"retry-after"), head.all(b"proxy-status")) == ([b"7"], [b"lb; error=x"])


def test_the_headers_of_an_answer_go_back_in_their_order_and_byte_for_byte(hands: ByHand) -> None:
    fields = [
        (b"set-cookie", b"a=1; Expires=Mon, 01 Dec 2025 00:00:00 GMT"),
        (b"x-a", b"1"),
        (b"set-cookie", b"b=2"),
        (b"server", b"nginx"),
        (b"x-bytes", b"caf\xe9 \xff"),
        (b"x-a", b"1"),
        (b"date", b"Mon, 01 Dec 2025 00:00:00 GMT"),
        (b"etag", b'W/"x"'),
        (b"x-empty", b""),
        (b"content-type", b"application/octet-stream"),
        (b"set-cookie", b"a=1"),
        (b"www-authenticate", b'Bearer realm="a", Basic'),
        (b"content-length", b"0"),
    ]
    lines = b"".join(b"%b: %b\r\n" % (name.title(), value) for name, value in fields)
    head, _ = answered(hands, b"HTTP/1.1 200 OK\r\n%b\r\n" % lines)
    assert head.headers == [*fields, (b"via", b"1.1 trigger-shim")]


def test_an_answer_without_a_date_gets_one_and_no_server(hands: ByHand) -> None:
    head, _ = answered(hands, OK)
    assert len(head.all(b"date")) == 1
    assert head.all(b"server") == []


def test_what_concerns_one_connection_does_not_go_back(hands: ByHand) -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\nConnection: X-Own, upgrade\r\nConnection: x-two\r\nX-Own: 1\r\nX-Two: 2\r\n"
        b"Keep-Alive: timeout=5\r\nUpgrade: h2,h2c\r\nTrailer: X-Sum\r\nProxy-Authenticate: Basic\r\n"
        b"Proxy-Connection: close\r\nTrailers: no special name\r\nVia: 1.1 lb\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    head, body = answered(hands, answer + chunk(b"ok") + b"0\r\nX-Sum: 1\r\n\r\n")
    gone = b"connection x-own x-two keep-alive upgrade trailer proxy-authenticate proxy-connection x-sum"
    assert {name for name, _ in head.headers}.isdisjoint(gone.split())
    assert (head.all(b"trailers"), head.all(b"via")) == ([b"no special name"], [b"1.1 lb", b"1.1 trigger-shim"])
    assert body == b"ok"


ZIPPED = gzip.compress(b"a" * 100_000)


@pytest.mark.parametrize("encoding", [b"gzip", b"br", b"x-unknown"])
def test_a_content_encoding_is_not_undone(hands: ByHand, encoding: bytes) -> None:
    fields = b"Content-Encoding: %b\r\nContent-Length: %d\r\n" % (encoding, len(ZIPPED))
    head, body = answered(hands, b"HTTP/1.1 200 OK\r\n%b\r\n" % fields + ZIPPED)
    assert (head.all(b"content-encoding"), body) == ([encoding], ZIPPED)


@pytest.mark.parametrize("body", [b"", *BODIES], ids=len)
@pytest.mark.parametrize("framing", ["length", "chunks", "close"])
def test_a_body_comes_back_however_its_end_is_marked(hands: ByHand, body: bytes, framing: str) -> None:
    caller = hands.caller(get())
    upstream = hands.upstream()
    upstream.head()
    upstream.send(framed(body, framing))
    upstream.close()
    head, got = caller.answer()
    assert got == body
    assert head.all(b"content-length") == ([b"%d" % len(body)] if framing == "length" else [])
    assert head.all(b"transfer-encoding") == ([] if framing == "length" else [b"chunked"])


@pytest.mark.parametrize("framing", [b"Content-Length: 6\r\n", b"Transfer-Encoding: chunked\r\n", b""])
def test_an_answer_goes_on_as_it_comes_and_not_when_it_is_whole(hands: ByHand, framing: bytes) -> None:
    caller = hands.caller(get())
    upstream = hands.upstream()
    upstream.head()
    upstream.send(b"HTTP/1.1 200 OK\r\n%b\r\n" % framing)
    in_chunks = b"Length" not in framing
    assert caller.head().all(b"transfer-encoding") == ([b"chunked"] if in_chunks else [])
    for piece in (b"ab", b"cd", b"ef"):
        upstream.send(chunk(piece) if b"chunked" in framing else piece)
        assert (caller.chunk() if in_chunks else caller.body(2)) == piece


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"),
        (b"HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (b"HEAD", b"HTTP/1.1 404 X\r\nContent-Length: 7\r\n\r\n"),
        (b"GET", b"HTTP/1.1 204 X\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 X\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 X\r\nContent-Length: 100\r\n\r\n"),
        (b"GET", b"HTTP/1.1 205 X\r\nContent-Length: 0\r\n\r\n"),
    ],
)
def test_an_answer_without_a_body_leaves_both_connections_good(hands: ByHand, method: bytes, answer: bytes) -> None:
    caller = hands.caller(get(b"/first", b"", method))
    upstream = hands.upstream()
    upstream.head()
    upstream.send(answer)
    head, _ = caller.answer(method.decode())
    assert head.status == int(answer.split()[1])
    assert head.all(b"content-length") == ([answer.split()[-1]] if b"Length" in answer else [])
    caller.send(get(b"/second"))
    assert upstream.head().target == b"/second"
    upstream.send(OK)
    assert caller.answer().body == b"ok"


@pytest.mark.parametrize(
    "interim",
    [
        b"HTTP/1.1 102 Processing\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\nX-Early: 1\r\n\r\n",
        b"HTTP/1.1 199 X\r\n\r\n" * 50,
    ],
)
def test_interim_answers_are_dropped_with_their_headers(hands: ByHand, interim: bytes) -> None:
    head, body = answered(hands, interim + OK)
    assert (head.status, body) == (200, b"ok")
    assert (head.all(b"link"), head.all(b"x-early")) == ([], [])


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 600 X\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 999 X\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 099 X\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 000 X\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 20 X\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nok",
        b"HTTP/1.1 101 X\r\n\r\n",
        b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"220 mail.example ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: a\x00b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX-A: a\x01b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX-A: a\rSet-Cookie: b=c\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX-A: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX A: b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"0" * 5000 + b"2\r\n\r\nok",
        b"HTTP/1.1 304 X\r\nContent-Length: " + b"0" * 5000 + b"2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 70_000 + b"\r\nContent-Length: 2\r\n\r\nok",
    ],
    ids=lambda answer: repr(answer[:60]),
)
def test_an_answer_that_is_none_is_a_502_in_the_error_schema(hands: ByHand, answer: bytes) -> None:
    head, body = answered(hands, answer, get(headers=b"X-Request-ID: r-1\r\n"))
    assert (head.status, head.all(b"x-request-id")) == (502, [b"r-1"])
    assert head.all(b"proxy-status") == [b"trigger-shim; error=http_protocol_error"]
    assert b'{"error_code":"UpstreamInvalidAnswer",' in body
    assert head.all(b"x-a") == []


def test_an_answer_of_absurd_length_is_recorded_as_none(hands: ByHand) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %b2\r\n\r\nok" % (b"0" * 5000)
    head, _ = answered(hands, answer, get(b"/acme/shop/cicd/runs", b"X-Request-ID: absurd\r\n"))
    record = record_of(hands.proxy, b"absurd")
    assert head.status == 502
    assert (record["outcome"], record["status"], record["error_code"]) == (
        "upstream_error",
        502,
        "UpstreamInvalidAnswer",
    )


@pytest.mark.parametrize("target", [b"/x", b"/acme/shop/cicd/runs"])
@pytest.mark.parametrize("length", [b"0", b"5", b"0" * 5 + b"2"])
def test_204_has_no_length(hands: ByHand, target: bytes, length: bytes) -> None:
    caller = hands.caller(get(target))
    upstream = hands.upstream()
    upstream.head()
    upstream.send(b"HTTP/1.1 204 X\r\nContent-Length: %b\r\nX-A: 1\r\n\r\n" % length)
    head, _ = caller.answer()
    assert (head.status, head.all(b"x-a")) == (204, [b"1"])
    assert (head.all(b"content-length"), head.all(b"transfer-encoding"), head.all(b"connection")) == ([], [], [])
    caller.send(get(b"/-/healthz"))
    assert caller.answer().body == b"ok\n"


def test_an_offer_of_websocket_that_connection_does_not_name_is_ignored(hands: ByHand) -> None:
    head = forwarded(hands, get(headers=b"Upgrade: websocket\r\nConnection: keep-alive\r\n"))
    assert (head.all(b"upgrade"), head.all(b"connection")) == ([], [])


def test_a_websocket_is_refused_and_nothing_is_forwarded(hands: ByHand) -> None:
    caller = hands.caller(get(headers=b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n"))
    head, body = caller.answer()
    assert head.status == 501
    assert b'"UpgradeRefused"' in body


def test_an_upstream_that_cannot_be_reached_is_told_and_recorded(tmp_path: Path) -> None:
    with socket.socket() as bound:  # and not listening: nobody else can get the port meanwhile
        bound.bind(("127.0.0.1", 0))
        with proxy_for("http://{}:{}".format(*bound.getsockname()), tmp_path) as proxy:
            current = proxy.call("/x", b"{}")
            withdrawn = proxy.call("/acme/shop/cicd/runs", b"{}")
            [record] = until(proxy.records)
    for answer in (current, withdrawn):
        assert (answer.status, answer.json()["error_code"]) == (502, "UpstreamUnreachable")
        assert answer.header("proxy-status") == "trigger-shim; error=connection_refused"
    assert (current.json()["details"], withdrawn.json()["details"]) == ({}, {"run_started": "no"})
    assert (record["outcome"], "upstream_status" in record) == ("unreachable", False)


@pytest.mark.parametrize("path", ["/x", "/acme/shop/cicd/runs"])
def test_a_fault_of_the_proxy_itself_is_told_to_both_sides(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], path: str
) -> None:
    def fail(_request: httpx.Request) -> httpx.Response:
        raise RuntimeError("about Bearer SECRET")

    public, log = listeners.loopback(), tmp_path / "callers.jsonl"
    app = App(
        config.load(None, {}, {"callers": {"log": str(log)}, "ledger": None}), transport=httpx.MockTransport(fail)
    )
    with server.background(app, public):
        answer = Proxy("127.0.0.1", public.getsockname()[1], log).call(path, method="GET", body=None)
    assert (answer.status, answer.json()["error_code"]) == (500, "ProxyInternalError")
    [line] = capfd.readouterr().err.splitlines()
    assert " exception=RuntimeError place=" in line
    assert answer.json()["request_id"] in line
    assert "SECRET" not in line
