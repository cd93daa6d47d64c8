import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Callable

import pytest

from proxy.gateway.call.body import FORWARDED_FROM
from proxy.gateway.server import protocol
from tests.gateway.server.in_memory import fed
from tests.gateway.server.samples import GET, H2C
from tests.support.proxy import HEAD, TRIGGER, Proxy
from tests.support.upstream import RUN, Upstream
from tests.support.waiting import PATIENCE

BODY = b'{"revision":"GET /smuggled HTTP/1.1"}'
FRAMED = {
    "a length": b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY),
    "chunks": b"Transfer-Encoding: chunked\r\n\r\n5\r\n%b\r\n%x;ext\r\n%b\r\n0\r\nX: trailer\r\n\r\n"
    % (BODY[:5], len(BODY) - 5, BODY[5:]),
}


def _in_one(data: bytes) -> list[bytes]:
    return [data]


def _after_the_head(data: bytes) -> list[bytes]:
    end = data.index(b"\r\n\r\n") + 4
    return [data[:end], data[end:]]


def _in_the_body(data: bytes) -> list[bytes]:
    return [data[:-20], data[-20:]]


def _in_bytes(data: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in data]


@pytest.mark.parametrize("split", [_in_one, _after_the_head, _in_the_body, _in_bytes])
@pytest.mark.parametrize("framed", FRAMED.values(), ids=FRAMED)
def test_a_call_that_asks_for_h2c_keeps_its_body_and_its_connection(
    monkeypatch: pytest.MonkeyPatch,
    upstream: Upstream,
    proxy: Proxy,
    framed: bytes,
    split: Callable[[bytes], list[bytes]],
) -> None:
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT", 10 * PATIENCE)  # with another call after each byte of it
    with proxy.wire() as connection:
        for _ in range(2):
            for piece in split(HEAD.encode() + H2C + framed):
                connection.send(piece)
                proxy.has_read()
            answer = connection.answer()
            assert (answer.status, answer.json()["flux_id"]) == (200, "7")
        connection.send(GET)
        assert connection.answer().body == RUN
    assert [request.target for request in upstream.received] == ["/repos/acme/shop/cicd/runs"] * 2 + ["/a"]
    for request in upstream.received[:2]:
        assert json.loads(request.body)["head"] == {"branch": "GET /smuggled HTTP/1.1"}
        assert [request.all(name) for name in ("upgrade", "http2-settings", "connection")] == [[], [], []]


def test_a_call_that_asks_for_h2c_without_a_body_is_followed_by_the_next(upstream: Upstream, proxy: Proxy) -> None:
    with proxy.wire((b"GET /a HTTP/1.1\r\nHost: h\r\n" + H2C + b"\r\n") * 50 + GET) as connection:
        assert [connection.answer().status for _ in range(51)] == [200] * 51
    assert len(upstream.received) == 51
    assert all(request.all("upgrade") == [] for request in upstream.received)


def test_framing_is_as_strict_where_h2c_is_asked_for(upstream: Upstream, proxy: Proxy) -> None:
    both = b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    with proxy.wire(HEAD.encode() + H2C + both) as connection:
        assert connection.answer().status == 400
        assert connection.rest() == b""
    with proxy.wire(HEAD.encode() + H2C + b"Transfer-Encoding: chunked\r\n\r\nx\r\n") as connection:
        assert connection.answer().status == 400
        assert connection.rest() == b""
    assert upstream.received == []


@pytest.mark.parametrize("path", ["/acme/socket", TRIGGER])
def test_a_websocket_is_refused_as_not_implemented(upstream: Upstream, proxy: Proxy, path: str) -> None:
    upgrade = "Connection: Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    for method in ("GET", "POST") if path == TRIGGER else ("GET",):
        with proxy.wire(f"{method} {path} HTTP/1.1\r\nHost: h\r\n{upgrade}\r\n".encode()) as connection:
            answer = connection.answer()
        assert (answer.status, answer.json()["error_code"]) == (501, "UpgradeRefused")
    assert upstream.received == []


@pytest.mark.parametrize("split", [_in_one, _in_bytes])
def test_a_workflow_may_be_named_in_plain_utf_8(
    upstream: Upstream, proxy: Proxy, split: Callable[[bytes], list[bytes]]
) -> None:
    path = TRIGGER.replace("build", "сборка")
    body = '{"revision":"é"}'.encode()
    head = f"\r\nPOST {path} HTTP/1.1\r\nHost: h\r\nX: é\r\nContent-Length: {len(body)}\r\n\r\n"
    with proxy.wire() as connection:
        for piece in split(head.encode() + body):
            connection.send(piece)
        assert connection.answer().status == 200
    [request] = upstream.received
    assert json.loads(request.body) == {"workflows": [{"name": "сборка"}], "head": {"branch": "é"}}
    assert proxy.records()[0]["workflow"] == "сборка"


def test_a_target_is_passed_through_byte_for_byte_above_ascii_too(upstream: Upstream, proxy: Proxy) -> None:
    target = "/é/%C3%A9/".encode() + b"\xff?q=\xff"
    with proxy.wire(b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n" % target) as connection:
        assert connection.answer().status == 200
    assert upstream.received[0].target.encode("latin-1") == target


RAW = "GET /é?{} HTTP/1.1\r\nHost: h\r\n\r\n"
HEAD_POST = "POST /é?{} HTTP/1.1\r\nHost: h\r\nX: é\r\n"
BEFORE = {
    "nothing": "",
    "a request": RAW,
    "an empty line": RAW + "\r\n",
    "a body": HEAD_POST + "Content-Length: 17\r\n\r\n\r\n\r\n\nGET /é HTTP",
    "chunks": HEAD_POST + "Transfer-Encoding: chunked\r\n\r\nc\r\n\nGET /é HTT\r\n0\r\n\r\n",
    "a trailer": HEAD_POST + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: é\r\n\r\n",
    "h2c": HEAD_POST + H2C.decode() + "Content-Length: 4\r\n\r\néA ",
}


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
def test_targets_above_ascii_mean_the_same_wherever_a_segment_ends(before: str) -> None:
    whole = ((before.format(0) if before else "") + RAW.format(1) + RAW.format(2)).encode()
    _, seen = asyncio.run(fed([whole]))
    assert [target for _, target, _ in seen][-2:] == ["/é?1".encode(), "/é?2".encode()]
    assert len(seen) == 2 + bool(before)
    for cut in range(1, len(whole)):
        assert asyncio.run(fed([whole[:cut], whole[cut:]]))[1] == seen, whole[:cut]


@pytest.mark.parametrize("endless", [b"0\r\nX: ", b"1;"], ids=["trailer", "chunk extension"])
def test_a_chunked_body_without_content_is_refused(upstream: Upstream, proxy: Proxy, endless: bytes) -> None:
    head = f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode()
    with proxy.wire(head + endless + b"x" * 400_000) as connection:
        assert connection.answer().status == 400
    assert upstream.received == []


def test_chunk_extensions_may_not_outweigh_the_content(upstream: Upstream, proxy: Proxy) -> None:
    with proxy.wire(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode()) as connection:
        connection.send((b"1;%b\r\nx\r\n" % (b"e" * 3000)) * 100)
        assert connection.answer().status == 400
        assert connection.rest() == b""
    assert upstream.received == []


@pytest.mark.parametrize(("size", "extension"), [(1, b""), (100, b";signature=%064d" % 7), (5000, b";" + b"e" * 5000)])
def test_many_chunks_with_extensions_are_accepted(
    upstream: Upstream, proxy: Proxy, size: int, extension: bytes
) -> None:
    body = b'{"ignored": "%b"}' % (b"x" * 100_000)
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    chunks = b"".join(b"%x%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in pieces)
    with proxy.wire(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks + b"0\r\n\r\n") as connection:
        assert connection.answer().status == 200
    assert len(upstream.received) == 1


def test_a_broken_chunk_ends_the_forward_of_a_body_that_is_passed_through(upstream: Upstream, proxy: Proxy) -> None:
    got = bytearray()
    ended = threading.Event()

    def reads_all(connection: socket.socket) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := connection.recv(65536):
                got.extend(piece)
        ended.set()

    upstream.script = reads_all
    begin = b"%x\r\n%b\r\n" % (FORWARDED_FROM, bytes(FORWARDED_FROM))
    with proxy.wire(b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + begin) as connection:
        assert upstream.arrived.wait(20)
        connection.send(b"nonsense\r\n0\r\n\r\n")
        assert connection.answer().status == 400
        assert connection.rest() == b""
    assert ended.wait(20)
    assert b"\r\n0\r\n" not in got
