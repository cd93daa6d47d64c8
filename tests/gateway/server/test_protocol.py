import asyncio
import contextlib
import itertools
import re
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from proxy import config
from proxy.gateway.app import App
from proxy.gateway.server import listeners, protocol, server
from proxy.gateway.server.exchange import ServerState
from proxy.gateway.server.protocol import Protocol
from tests.gateway.server.in_memory import MemoryTransport, fed
from tests.gateway.server.samples import GET, H2C
from tests.support.examples import examples
from tests.support.programs import program
from tests.support.proxy import HEAD, TRIGGER, Proxy, proxy_for
from tests.support.upstream import RUN, Upstream, closes, held, reply, sends
from tests.support.waiting import PATIENCE, until
from tests.support.wire import Wire


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Look for connections that are over their time all the while."""
    monkeypatch.setattr(server, "TICK", 0.01)
    return monkeypatch


# --- connections


def test_requests_that_were_sent_ahead_are_answered_in_order(upstream: Upstream, proxy: Proxy) -> None:
    def tells_the_target(connection: socket.socket) -> None:
        reply(body=upstream.received[-1].target.encode())(connection)

    upstream.script = tells_the_target
    sent = b"".join(b"POST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nGET" % number for number in range(50))
    with proxy.wire(sent) as connection:
        assert [connection.answer().body for _ in range(50)] == [b"/%d" % number for number in range(50)]
    assert {request.body for request in upstream.received} == {b"GET"}


@pytest.mark.parametrize("request_", [GET, b"GET /a HTTP/1.1\r\nHost: h\r\n" + H2C + b"\r\n"], ids=["plain", "h2c"])
def test_the_number_of_unanswered_requests_is_limited(upstream: Upstream, proxy: Proxy, request_: bytes) -> None:
    with proxy.wire(request_ * 1000) as connection:
        assert [connection.answer().status for _ in range(101)] == [200] * 100 + [503]
        assert connection.rest() == b""
    assert len(upstream.received) == 100


def test_http_1_0_is_answered_and_closed(upstream: Upstream, proxy: Proxy) -> None:
    upstream.script = sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
    with proxy.wire(b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n") as connection:
        answer = connection.answer()
        assert (answer.status, answer.body, connection.rest()) == (200, b"{}", b"")
    assert answer.header("transfer-encoding") is None
    assert answer.header("connection") == "close"


KEEP_ALIVE = b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"


def test_http_1_0_may_keep_its_connection(upstream: Upstream, proxy: Proxy) -> None:
    with proxy.wire(KEEP_ALIVE) as connection:
        for request in (KEEP_ALIVE.replace(b"keep-alive", b"Keep-Alive"), b"GET /a HTTP/1.0\r\n\r\n"):
            answer = connection.answer()
            assert (answer.body, answer.all("connection")) == (RUN, ["keep-alive"])
            connection.send(request)
        answer = connection.answer()
        assert (answer.body, answer.all("connection"), connection.rest()) == (RUN, ["close"], b"")
    assert {tuple(request.all("connection")) for request in upstream.received} == {()}


@pytest.mark.parametrize("status", [204, 304])
def test_http_1_0_keeps_its_connection_after_an_answer_that_has_no_body(
    upstream: Upstream, proxy: Proxy, status: int
) -> None:
    upstream.script = sends(b"HTTP/1.1 %d X\r\n\r\n" % status)
    with proxy.wire(KEEP_ALIVE * 2 + KEEP_ALIVE.replace(b"GET", b"HEAD")) as connection:
        answers = [connection.answer("HEAD") for _ in range(3)]
    assert [(answer.status, answer.header("connection")) for answer in answers] == [(status, "keep-alive")] * 3


def test_a_trigger_of_http_1_0_may_keep_its_connection(proxy: Proxy) -> None:
    head = f"POST {TRIGGER} HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{{}}"
    with proxy.wire(head.encode() * 2) as connection:
        answers = [connection.answer() for _ in range(2)]
    assert [(answer.status, answer.header("connection")) for answer in answers] == [(200, "keep-alive")] * 2


def test_close_comes_before_keep_alive(proxy: Proxy) -> None:
    with proxy.wire(b"GET /a HTTP/1.0\r\nHost: h\r\nConnection: keep-alive, close\r\n\r\n") as connection:
        answer = connection.answer()
        assert (answer.status, answer.header("connection"), connection.rest()) == (200, "close", b"")


def test_ab_keeps_its_connections(proxy: Proxy) -> None:
    command = [program("ab"), "-k", "-q", "-n", "50", "-c", "2", f"http://{proxy.host}:{proxy.port}/a"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert re.search(r"Failed requests: +0\n", said), said
    assert re.search(r"Keep-Alive requests: +50\n", said), said


def test_an_answer_that_breaks_off_does_not_look_complete(upstream: Upstream, proxy: Proxy) -> None:
    upstream.script = closes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")
    with proxy.wire(b"GET /a HTTP/1.0\r\n\r\n") as connection, pytest.raises(ConnectionError):
        connection.rest()
    with proxy.wire(GET) as connection:
        assert not connection.rest().endswith(b"\r\n0\r\n\r\n")


def test_head_has_no_body_and_the_connection_is_still_good(upstream: Upstream, proxy: Proxy) -> None:
    upstream.script = sends(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    with proxy.wire(GET.replace(b"GET", b"HEAD") * 2) as connection:
        answers = [connection.answer("HEAD") for _ in range(2)]
    assert [(answer.status, answer.header("content-length")) for answer in answers] == [(200, "5")] * 2


def test_connection_close_is_honoured(proxy: Proxy) -> None:
    with proxy.wire(b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: Close\r\n\r\n") as connection:
        answer = connection.answer()
        assert (answer.status, answer.header("connection"), connection.rest()) == (200, "close", b"")


def test_an_answer_before_the_end_of_the_body_closes_the_connection(
    monkeypatch: pytest.MonkeyPatch, upstream: Upstream, proxy: Proxy
) -> None:
    monkeypatch.setattr(protocol, "LINGER", PATIENCE)  # the caller may be slow to send more
    with proxy.wire(f"{HEAD}Content-Length: 99999999\r\n\r\n{{".encode()) as connection:
        answer = connection.answer()
        assert (answer.status, answer.header("connection")) == (413, "close")
        connection.send(b"x" * 100_000)
        assert connection.rest() == b""
    assert upstream.received == []


@pytest.mark.parametrize(("version", "told"), [("1.1", True), ("1.0", False)])
def test_only_http_1_1_gets_100_continue(proxy: Proxy, version: str, told: bool) -> None:
    head = f"POST {TRIGGER} HTTP/{version}\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-Continue\r\n\r\n"
    with proxy.wire(head.encode()) as connection:
        if told:
            assert connection.answer("HEAD").status == 100
        else:
            proxy.has_read()  # so that it would have said so
        connection.send(b"{}")
        assert connection.answer().status == 200


@pytest.mark.parametrize("body", [b"", b"{}"], ids=["before its body", "with its body"])
def test_a_refused_body_is_not_asked_for_with_100_continue(upstream: Upstream, proxy: Proxy, body: bytes) -> None:
    length = 2 if body else 1 << 30
    head = f"{HEAD}Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
    with proxy.wire(head.encode() + body) as connection:
        assert connection.answer().status == (200 if body else 413)
    assert len(upstream.received) == bool(body)


def test_a_caller_that_half_closes_gets_its_answers(upstream: Upstream, proxy: Proxy) -> None:
    release = threading.Event()
    upstream.script = held(release)
    with proxy.wire(f"{HEAD}Content-Length: 2\r\n\r\n{{}}".encode() * 2) as connection:
        connection.half_close()
        assert upstream.arrived.wait(20)
        proxy.has_read()
        release.set()
        assert [connection.answer().json()["flux_id"] for _ in range(2)] == ["7", "7"]
        assert connection.rest() == b""


def test_a_complete_body_is_passed_through_although_its_caller_half_closed(upstream: Upstream, proxy: Proxy) -> None:
    with proxy.wire(b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}") as connection:
        connection.half_close()
        assert connection.answer().body == RUN
    assert upstream.received[0].body == b"{}"


def test_a_caller_that_half_closes_within_a_body_starts_nothing(upstream: Upstream, proxy: Proxy) -> None:
    with proxy.wire(f"{HEAD}Content-Length: 9\r\n\r\n{{}}".encode()) as connection:
        connection.half_close()
        assert connection.answer().status == 400
        assert connection.rest() == b""
    assert upstream.received == []


@pytest.mark.parametrize("sent", [b"", b"GET /a HT", b"GET /a HTTP/1.1\r\nHost: h\r\n"])
def test_a_caller_that_half_closes_without_a_request_is_disconnected(proxy: Proxy, sent: bytes) -> None:
    with proxy.wire(sent) as connection:
        connection.half_close()
        assert connection.rest() == b""


def test_a_complete_call_is_forwarded_although_its_caller_left_at_once(upstream: Upstream, proxy: Proxy) -> None:
    for number in range(20):  # each another call, or the next would take over its run
        with proxy.wire(f"{HEAD}Authorization: Bearer {number}\r\nContent-Length: 2\r\n\r\n{{}}".encode()):
            pass
    until(lambda: len(proxy.records()) == 20)
    assert {record["outcome"] for record in proxy.records()} == {"forwarded"}
    assert len(upstream.received) == 20


def test_a_reset_in_the_middle_of_a_call_is_noted(upstream: Upstream, proxy: Proxy) -> None:
    release = threading.Event()
    upstream.script = held(release)
    connection = proxy.wire()
    connection.send(f"{HEAD}Content-Length: 2\r\n\r\n{{}}".encode())
    assert upstream.arrived.wait(20)
    connection.reset()
    proxy.has_read()
    release.set()
    [record] = until(proxy.records)
    assert (record["outcome"], record["client_gone"]) == ("forwarded", True)


def test_a_reset_in_the_middle_of_a_request_leaves_others_alone(upstream: Upstream, proxy: Proxy) -> None:
    for sent in (b"", b"GET /a HT", f"{HEAD}Content-Length: 9\r\n\r\n{{}}".encode()):
        connection = proxy.wire()
        connection.send(sent)
        connection.reset()
    assert proxy.call().status == 200
    assert len(upstream.received) == 1


# --- time


def test_half_a_head_is_answered_and_closed(
    impatient: pytest.MonkeyPatch, proxy: Proxy, capfd: pytest.CaptureFixture[str]
) -> None:
    impatient.setattr(protocol, "HEAD_TIMEOUT", 0.05)
    impatient.setattr(protocol, "LINGER", 0.05)
    with proxy.wire(HEAD.encode()) as connection:
        answer = connection.answer()
        assert (answer.status, answer.json()["error_code"]) == (408, "RequestTimeout")
        assert connection.rest() == b""
        # It is gone, and not told a second time, though the caller keeps its side open.
        until(lambda: _is_reset(connection))
    assert proxy.call().status == 200
    assert capfd.readouterr().err == ""


def _is_reset(connection: Wire) -> bool:
    try:
        connection.socket.sendall(b"x")
    except ConnectionError:
        return True
    return False


def test_a_head_that_arrives_slowly_has_no_more_time(impatient: pytest.MonkeyPatch, proxy: Proxy) -> None:
    impatient.setattr(protocol, "HEAD_TIMEOUT", 0.2)
    with proxy.wire(f"{HEAD}X-Slow: ".encode()) as connection:
        assert until(connection.drip).startswith(b"HTTP/1.1 408 ")


def test_half_a_head_after_an_answer_has_no_more_time(impatient: pytest.MonkeyPatch, proxy: Proxy) -> None:
    impatient.setattr(protocol, "HEAD_TIMEOUT", 0.5)
    with proxy.wire(GET + HEAD.encode()) as connection:
        assert [connection.answer().status for _ in range(2)] == [200, 408]
        assert connection.rest() == b""


def test_a_bad_request_sent_ahead_does_not_cut_off_the_answer_before_it(
    impatient: pytest.MonkeyPatch, upstream: Upstream, proxy: Proxy
) -> None:
    impatient.setattr(protocol, "HEAD_TIMEOUT", 0.3)
    release = threading.Event()
    upstream.script = held(release)
    with proxy.wire(GET + b"garbage\r\n\r\n") as connection:
        assert upstream.arrived.wait(20)
        threading.Event().wait(0.6)  # twice what a head may take
        release.set()
        assert [connection.answer().status for _ in range(2)] == [200, 400]


@pytest.mark.parametrize("framing", ["Content-Length: 9\r\n\r\n{}", "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"])
def test_half_a_body_is_ended_and_recorded(
    impatient: pytest.MonkeyPatch, upstream: Upstream, proxy: Proxy, framing: str
) -> None:
    impatient.setattr(protocol, "BODY_TIMEOUT", 0.05)
    with proxy.wire((HEAD + framing).encode()) as connection:
        connection.rest()
    [record] = until(proxy.records)
    assert record["outcome"] == "rejected"
    assert upstream.received == []


def test_half_a_body_that_is_passed_through_ends_the_forward(
    impatient: pytest.MonkeyPatch, upstream: Upstream, proxy: Proxy
) -> None:
    impatient.setattr(protocol, "BODY_TIMEOUT", 0.05)
    with proxy.wire(b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{}") as connection:
        connection.rest()
    until(lambda: proxy.call().status == 200)
    assert all(len(request.body) != 9 for request in upstream.received)


def test_a_body_that_makes_progress_is_not_cut_off(
    impatient: pytest.MonkeyPatch, upstream: Upstream, proxy: Proxy
) -> None:
    impatient.setattr(protocol, "BODY_TIMEOUT", 3.0)  # longer than this thread is held up between two bytes
    with proxy.wire(b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 20\r\n\r\n") as connection:
        for _ in range(20):
            threading.Event().wait(0.16)  # a slow caller
            connection.send(b"x")
        assert connection.answer().status == 200
    assert upstream.received[0].body == b"x" * 20


@pytest.mark.parametrize("sent", [b"", GET, b"\r\n"], ids=["at first", "after a call", "after an empty line"])
def test_an_idle_connection_is_closed(
    impatient: pytest.MonkeyPatch, upstream: Upstream, tmp_path: Path, sent: bytes
) -> None:
    def answers(connection: socket.socket) -> None:
        impatient.setattr(protocol, "KEEPALIVE", 0.3)  # not before: the call itself may be slow to come
        reply()(connection)

    upstream.script = answers
    if sent != GET:
        impatient.setattr(protocol, "KEEPALIVE", 3.0 if sent else 0.3)  # what is unread at the end resets it
    with proxy_for(upstream.url, tmp_path) as proxy, proxy.wire(sent) as connection:
        if sent == GET:
            assert connection.answer().status == 200
        assert connection.rest() == b""


def test_a_caller_that_leaves_its_answer_unread_is_cut_off(
    impatient: pytest.MonkeyPatch, upstream: Upstream, proxy: Proxy
) -> None:
    impatient.setattr(protocol, "WRITE_TIMEOUT", 0.05)
    cut_off = threading.Event()

    def sends_without_end(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 40))
        try:
            while True:
                connection.sendall(b"x" * 65536)
        except OSError:
            cut_off.set()

    upstream.script = sends_without_end
    with proxy.wire(GET) as connection:
        assert cut_off.wait(20)
        assert len(connection.rest()) < 1 << 40


def test_what_an_answer_leaves_unread_does_not_keep_the_connection(
    impatient: pytest.MonkeyPatch, upstream: Upstream, tmp_path: Path
) -> None:
    impatient.setattr(protocol, "WRITE_TIMEOUT", 0.05)
    upstream.script = reply(body=b"x" * 60_000)
    public = listeners.loopback()
    public.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    values = {"callers": {"log": str(tmp_path / "callers.jsonl")}, "ledger": None, "upstream": {"url": upstream.url}}
    with contextlib.closing(socket.socket()) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with server.background(App(config.load(None, {}, values)), public, drain=2 * PATIENCE):
            connection.connect(public.getsockname())
            connection.sendall(GET)
            connection.settimeout(20)
            assert connection.recv(1) == b"H"
            stopping = time.monotonic()
    assert time.monotonic() - stopping < PATIENCE


def test_a_hundred_slow_connections_do_not_keep_others_from_being_served(
    monkeypatch: pytest.MonkeyPatch, proxy: Proxy
) -> None:
    for limit in ("HEAD_TIMEOUT", "BODY_TIMEOUT", "KEEPALIVE"):  # none of them makes room by its end
        monkeypatch.setattr(protocol, limit, 10 * PATIENCE)
    kinds = [b"", b"P", HEAD.encode(), f"{HEAD}Content-Length: 9\r\n\r\n{{".encode()]
    with contextlib.ExitStack() as stack:
        for number in range(100):
            stack.enter_context(proxy.wire(kinds[number % len(kinds)]))
        started = time.monotonic()
        assert [proxy.call().status for _ in range(20)] == [200] * 20
        assert time.monotonic() - started < PATIENCE


# --- anything at all


def test_a_connection_shows_what_it_does() -> None:
    async def scenario() -> list[str]:
        answering = asyncio.Event()

        async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
            await answering.wait()
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})

        connection = Protocol(app, ServerState(), None)
        connection.connection_made(MemoryTransport())
        shown = [repr(connection)]
        for piece in (GET[:5], GET[5:], b"nonsense\r\n\r\n"):
            connection.data_received(piece)
            shown.append(repr(connection))
        answering.set()
        for _ in range(4):
            await asyncio.sleep(0)
        return [*shown, repr(connection)]

    assert asyncio.run(scenario()) == [
        "<Protocol SERVING, reading BETWEEN, 0 exchanges>",
        "<Protocol SERVING, reading HEAD, 0 exchanges>",
        "<Protocol SERVING, reading BETWEEN, 1 exchanges>",
        "<Protocol REFUSING, reading HEAD, 1 exchanges>",
        "<Protocol LINGERING, reading HEAD, 0 exchanges>",
    ]


VALID = [
    GET,
    b"POST /a?b=c HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\n\r\nHTTP/1.1\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost:\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\na\r\n0123456789\r\n0\r\nT:\r\n\r\n",
    b"PUT http://evil.example/x HTTP/1.1\r\nHost: h\r\n" + H2C + b"Content-Length: 3\r\n\r\nabc",
    b"POST /a HTTP/1.1\r\nHost: h\r\n" + H2C + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: h\r\n" + H2C + b"\r\n",
    b"POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
    b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    b"HEAD /a HTTP/1.0\r\n\r\n",
    "GET /é?è HTTP/1.1\r\nHost: h\r\n\r\n".encode(),
    "POST /é HTTP/1.1\r\nHost: h\r\nX: é\r\nContent-Length: 7\r\n\r\né\r\n\r\nA".encode(),
    "POST /é HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n\nGET /é \r\n0\r\nX: é\r\n\r\n".encode(),
]
SPLICES = [b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b"0", b"-1", b"f" * 16, b"\xff", b"HTTP/1.1", b""]
SPLICES += [b"Host: x\r\n", b"Content-Length: 1\r\n", b"Transfer-Encoding: chunked\r\n", b"Upgrade: x\r\n"]


@st.composite
def inputs(draw: st.DrawFn) -> bytes:
    """Valid requests one after the other, some of their bytes replaced."""
    data = b"".join(draw(st.lists(st.sampled_from(VALID), min_size=1, max_size=4)))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(data)))
        data = data[:start] + draw(st.sampled_from(SPLICES)) + data[start + draw(st.integers(0, 4)) :]
    return data


@given(inputs(), st.lists(st.integers(0, 400), max_size=6))
@settings(max_examples=examples(400), deadline=None)
def test_any_input_is_answered_and_closed_and_means_the_same_however_it_is_split(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted({cut for cut in cuts if cut < len(data)}), len(data)]
    pieces = [data[start:end] for start, end in itertools.pairwise(edges)]
    whole, seen = asyncio.run(fed([data]))
    split, seen_split = asyncio.run(fed(pieces))
    assert seen == seen_split
    for wire in (whole, split):
        assert re.match(rb"(HTTP/1\.1 \d{3} |$)", wire.written)
        assert b" 500 " not in wire.written
