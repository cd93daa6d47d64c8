import asyncio
import contextlib
import itertools
import re
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from proxy import config
from proxy.gateway.app import App
from proxy.gateway.call import body as call_body
from proxy.gateway.head import EXTENSION
from proxy.gateway.server import protocol, server
from proxy.gateway.server.exchange import ServerState
from proxy.gateway.server.protocol import Protocol
from tests.deploy.tools import program
from tests.harness import HEAD, RUN, TRIGGER, Answer, Proxy, Upstream, closes, held, proxy_for, reply, sends, until

GET = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n"


class Caller:
    """A connection of raw bytes, and the answers on it."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = connection
        self._stream = connection.makefile("rb")

    def send(self, data: bytes) -> None:
        # The other side may have refused and closed before all is sent.
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(data)

    def answer(self, *, bodiless: bool = False) -> Answer:
        line = self._stream.readline()
        assert line.startswith(b"HTTP/1.1 "), line
        headers = []
        while (field := self._stream.readline().decode("latin-1").rstrip("\r\n")) != "":
            name, _, value = field.partition(": ")
            headers.append((name, value))
        answer = Answer(int(line.split()[1]), headers, b"")
        length = answer.header("content-length")
        if bodiless:
            return answer
        return answer._replace(body=self._stream.read(int(length) if length is not None else -1))

    def rest(self) -> bytes:
        """What comes until the connection ends."""
        return self._stream.read()

    def close(self) -> None:
        self._stream.close()
        self.socket.close()

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


@contextlib.contextmanager
def caller(proxy: Proxy, data: bytes = b"") -> Iterator[Caller]:
    with contextlib.closing(Caller(proxy.connect())) as connected:
        connected.send(data)
        yield connected


def has_read(proxy: Proxy) -> None:
    """Return when the proxy has read what was sent to it before, since it answers a later call."""
    assert proxy.call("/-/healthz", method="GET", body=None).status == 200


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
    with caller(proxy, sent) as connection:
        assert [connection.answer().body for _ in range(50)] == [b"/%d" % number for number in range(50)]
    assert {request.body for request in upstream.received} == {b"GET"}


@pytest.mark.parametrize("request_", [GET, b"GET /a HTTP/1.1\r\nHost: h\r\n" + H2C + b"\r\n"], ids=["plain", "h2c"])
def test_the_number_of_unanswered_requests_is_limited(upstream: Upstream, proxy: Proxy, request_: bytes) -> None:
    with caller(proxy, request_ * 1000) as connection:
        assert [connection.answer().status for _ in range(101)] == [200] * 100 + [503]
        assert connection.rest() == b""
    assert len(upstream.received) == 100


def test_http_1_0_is_answered_and_closed(upstream: Upstream, proxy: Proxy) -> None:
    upstream.script = sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
    with caller(proxy, b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n") as connection:
        answer = connection.answer()
        assert (answer.status, answer.body, connection.rest()) == (200, b"{}", b"")
    assert answer.header("transfer-encoding") is None
    assert answer.header("connection") == "close"


KEEP_ALIVE = b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"


def test_http_1_0_may_keep_its_connection(upstream: Upstream, proxy: Proxy) -> None:
    with caller(proxy, KEEP_ALIVE) as connection:
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
    with caller(proxy, KEEP_ALIVE * 2 + KEEP_ALIVE.replace(b"GET", b"HEAD")) as connection:
        answers = [connection.answer(bodiless=True) for _ in range(3)]
    assert [(answer.status, answer.header("connection")) for answer in answers] == [(status, "keep-alive")] * 3


def test_a_trigger_of_http_1_0_may_keep_its_connection(proxy: Proxy) -> None:
    head = f"POST {TRIGGER} HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{{}}"
    with caller(proxy, head.encode() * 2) as connection:
        answers = [connection.answer() for _ in range(2)]
    assert [(answer.status, answer.header("connection")) for answer in answers] == [(200, "keep-alive")] * 2


def test_close_comes_before_keep_alive(proxy: Proxy) -> None:
    with caller(proxy, b"GET /a HTTP/1.0\r\nHost: h\r\nConnection: keep-alive, close\r\n\r\n") as connection:
        answer = connection.answer()
        assert (answer.status, answer.header("connection"), connection.rest()) == (200, "close", b"")


def test_ab_keeps_its_connections(proxy: Proxy) -> None:
    command = [program("ab"), "-k", "-q", "-n", "50", "-c", "2", f"http://{proxy.host}:{proxy.port}/a"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert re.search(r"Failed requests: +0\n", said), said
    assert re.search(r"Keep-Alive requests: +50\n", said), said


def test_an_answer_that_breaks_off_does_not_look_complete(upstream: Upstream, proxy: Proxy) -> None:
    upstream.script = closes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")
    with caller(proxy, b"GET /a HTTP/1.0\r\n\r\n") as connection, pytest.raises(ConnectionError):
        connection.rest()
    with caller(proxy, GET) as connection:
        assert not connection.rest().endswith(b"\r\n0\r\n\r\n")


def test_head_has_no_body_and_the_connection_is_still_good(upstream: Upstream, proxy: Proxy) -> None:
    upstream.script = sends(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    with caller(proxy, GET.replace(b"GET", b"HEAD") * 2) as connection:
        answers = [connection.answer(bodiless=True) for _ in range(2)]
    assert [(answer.status, answer.header("content-length")) for answer in answers] == [(200, "5")] * 2


def test_connection_close_is_honoured(proxy: Proxy) -> None:
    with caller(proxy, b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: Close\r\n\r\n") as connection:
        answer = connection.answer()
        assert (answer.status, answer.header("connection"), connection.rest()) == (200, "close", b"")


def test_an_answer_before_the_end_of_the_body_closes_the_connection(upstream: Upstream, proxy: Proxy) -> None:
    with caller(proxy, f"{HEAD}Content-Length: 99999999\r\n\r\n{{".encode()) as connection:
        answer = connection.answer()
        assert (answer.status, answer.header("connection")) == (413, "close")
        connection.send(b"x" * 100_000)
        assert connection.rest() == b""
    assert upstream.received == []


@pytest.mark.parametrize(("version", "told"), [("1.1", True), ("1.0", False)])
def test_only_http_1_1_gets_100_continue(proxy: Proxy, version: str, told: bool) -> None:
    head = f"POST {TRIGGER} HTTP/{version}\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-Continue\r\n\r\n"
    with caller(proxy, head.encode()) as connection:
        if told:
            assert connection.answer(bodiless=True).status == 100
        else:
            has_read(proxy)  # so that it would have said so
        connection.send(b"{}")
        assert connection.answer().status == 200


@pytest.mark.parametrize("body", [b"", b"{}"], ids=["before its body", "with its body"])
def test_a_refused_body_is_not_asked_for_with_100_continue(upstream: Upstream, proxy: Proxy, body: bytes) -> None:
    length = 2 if body else 1 << 30
    head = f"{HEAD}Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
    with caller(proxy, head.encode() + body) as connection:
        assert connection.answer().status == (200 if body else 413)
    assert len(upstream.received) == bool(body)


def test_a_caller_that_half_closes_gets_its_answers(upstream: Upstream, proxy: Proxy) -> None:
    release = threading.Event()
    upstream.script = held(release)
    with caller(proxy, f"{HEAD}Content-Length: 2\r\n\r\n{{}}".encode() * 2) as connection:
        connection.socket.shutdown(socket.SHUT_WR)
        assert upstream.arrived.wait(20)
        has_read(proxy)
        release.set()
        assert [connection.answer().json()["flux_id"] for _ in range(2)] == ["7", "7"]
        assert connection.rest() == b""


def test_a_complete_body_is_passed_through_although_its_caller_half_closed(upstream: Upstream, proxy: Proxy) -> None:
    with caller(proxy, b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}") as connection:
        connection.socket.shutdown(socket.SHUT_WR)
        assert connection.answer().body == RUN
    assert upstream.received[0].body == b"{}"


def test_a_caller_that_half_closes_within_a_body_starts_nothing(upstream: Upstream, proxy: Proxy) -> None:
    with caller(proxy, f"{HEAD}Content-Length: 9\r\n\r\n{{}}".encode()) as connection:
        connection.socket.shutdown(socket.SHUT_WR)
        assert connection.answer().status == 400
        assert connection.rest() == b""
    assert upstream.received == []


@pytest.mark.parametrize("sent", [b"", b"GET /a HT", b"GET /a HTTP/1.1\r\nHost: h\r\n"])
def test_a_caller_that_half_closes_without_a_request_is_disconnected(proxy: Proxy, sent: bytes) -> None:
    with caller(proxy, sent) as connection:
        connection.socket.shutdown(socket.SHUT_WR)
        assert connection.rest() == b""


def test_a_complete_call_is_forwarded_although_its_caller_left_at_once(upstream: Upstream, proxy: Proxy) -> None:
    for number in range(20):  # each another call, or the next would take over its run
        with caller(proxy, f"{HEAD}Authorization: Bearer {number}\r\nContent-Length: 2\r\n\r\n{{}}".encode()):
            pass
    until(lambda: len(proxy.records()) == 20)
    assert {record["outcome"] for record in proxy.records()} == {"forwarded"}
    assert len(upstream.received) == 20


def test_a_reset_in_the_middle_of_a_call_is_noted(upstream: Upstream, proxy: Proxy) -> None:
    release = threading.Event()
    upstream.script = held(release)
    connection = Caller(proxy.connect())
    connection.send(f"{HEAD}Content-Length: 2\r\n\r\n{{}}".encode())
    assert upstream.arrived.wait(20)
    connection.reset()
    has_read(proxy)
    release.set()
    [record] = until(proxy.records)
    assert (record["outcome"], record["client_gone"]) == ("forwarded", True)


def test_a_reset_in_the_middle_of_a_request_leaves_others_alone(upstream: Upstream, proxy: Proxy) -> None:
    for sent in (b"", b"GET /a HT", f"{HEAD}Content-Length: 9\r\n\r\n{{}}".encode()):
        connection = Caller(proxy.connect())
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
    with caller(proxy, HEAD.encode()) as connection:
        answer = connection.answer()
        assert (answer.status, answer.json()["error_code"]) == (408, "RequestTimeout")
        assert connection.rest() == b""
        # It is gone, and not told a second time, though the caller keeps its side open.
        until(lambda: _is_reset(connection))
    assert proxy.call().status == 200
    assert capfd.readouterr().err == ""


def _is_reset(connection: Caller) -> bool:
    try:
        connection.socket.sendall(b"x")
    except ConnectionError:
        return True
    return False


def test_a_head_that_arrives_slowly_has_no_more_time(impatient: pytest.MonkeyPatch, proxy: Proxy) -> None:
    impatient.setattr(protocol, "HEAD_TIMEOUT", 0.2)
    with caller(proxy, f"{HEAD}X-Slow: ".encode()) as connection:
        assert until(lambda: _dripped(connection)).startswith(b"HTTP/1.1 408 ")


def _dripped(connection: Caller) -> bytes:
    """Send one byte more, and read what has come."""
    connection.send(b"1")
    connection.socket.settimeout(0.01)
    with contextlib.suppress(TimeoutError):
        return connection.socket.recv(65536)
    return b""


def test_half_a_head_after_an_answer_has_no_more_time(impatient: pytest.MonkeyPatch, proxy: Proxy) -> None:
    impatient.setattr(protocol, "HEAD_TIMEOUT", 0.5)
    with caller(proxy, GET + HEAD.encode()) as connection:
        assert [connection.answer().status for _ in range(2)] == [200, 408]
        assert connection.rest() == b""


def test_a_bad_request_sent_ahead_does_not_cut_off_the_answer_before_it(
    impatient: pytest.MonkeyPatch, upstream: Upstream, proxy: Proxy
) -> None:
    impatient.setattr(protocol, "HEAD_TIMEOUT", 0.3)
    release = threading.Event()
    upstream.script = held(release)
    with caller(proxy, GET + b"garbage\r\n\r\n") as connection:
        assert upstream.arrived.wait(20)
        threading.Event().wait(0.6)  # twice what a head may take
        release.set()
        assert [connection.answer().status for _ in range(2)] == [200, 400]


@pytest.mark.parametrize("framing", ["Content-Length: 9\r\n\r\n{}", "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"])
def test_half_a_body_is_ended_and_recorded(
    impatient: pytest.MonkeyPatch, upstream: Upstream, proxy: Proxy, framing: str
) -> None:
    impatient.setattr(protocol, "BODY_TIMEOUT", 0.05)
    with caller(proxy, (HEAD + framing).encode()) as connection:
        connection.rest()
    [record] = until(proxy.records)
    assert record["outcome"] == "rejected"
    assert upstream.received == []


def test_half_a_body_that_is_passed_through_ends_the_forward(
    impatient: pytest.MonkeyPatch, upstream: Upstream, proxy: Proxy
) -> None:
    impatient.setattr(protocol, "BODY_TIMEOUT", 0.05)
    with caller(proxy, b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{}") as connection:
        connection.rest()
    until(lambda: proxy.call().status == 200)
    assert all(len(request.body) != 9 for request in upstream.received)


def test_a_body_that_makes_progress_is_not_cut_off(
    impatient: pytest.MonkeyPatch, upstream: Upstream, proxy: Proxy
) -> None:
    impatient.setattr(protocol, "BODY_TIMEOUT", 1.0)
    with caller(proxy, b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 20\r\n\r\n") as connection:
        for _ in range(20):
            threading.Event().wait(0.06)  # a slow caller
            connection.send(b"x")
        assert connection.answer().status == 200
    assert upstream.received[0].body == b"x" * 20


@pytest.mark.parametrize("sent", [b"", GET, b"\r\n"], ids=["at first", "after a call", "after an empty line"])
def test_an_idle_connection_is_closed(
    impatient: pytest.MonkeyPatch, upstream: Upstream, tmp_path: Path, sent: bytes
) -> None:
    impatient.setattr(protocol, "KEEPALIVE", 0.3)
    with proxy_for(upstream.url, tmp_path) as proxy, caller(proxy, sent) as connection:
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
    with caller(proxy, GET) as connection:
        assert cut_off.wait(20)
        assert len(connection.rest()) < 1 << 40


def test_what_an_answer_leaves_unread_does_not_keep_the_connection(
    impatient: pytest.MonkeyPatch, upstream: Upstream, tmp_path: Path
) -> None:
    impatient.setattr(protocol, "WRITE_TIMEOUT", 0.05)
    upstream.script = reply(body=b"x" * 60_000)
    public = server.loopback()
    public.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    values = {"callers": {"log": str(tmp_path / "callers.jsonl")}, "upstream": {"url": upstream.url}}
    with contextlib.closing(socket.socket()) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with server.background(App(config.load(None, {}, values)), public, drain=60):
            connection.connect(public.getsockname())
            connection.sendall(GET)
            connection.settimeout(20)
            assert connection.recv(1) == b"H"
            stopping = time.monotonic()
    assert time.monotonic() - stopping < 10


def test_a_hundred_slow_connections_do_not_keep_others_from_being_served(proxy: Proxy) -> None:
    kinds = [b"", b"P", HEAD.encode(), f"{HEAD}Content-Length: 9\r\n\r\n{{".encode()]
    with contextlib.ExitStack() as stack:
        for number in range(100):
            stack.enter_context(caller(proxy, kinds[number % len(kinds)]))
        started = time.monotonic()
        assert [proxy.call().status for _ in range(20)] == [200] * 20
        assert time.monotonic() - started < 5


# --- anything at all


class Wire(asyncio.Transport):
    """A connection in memory, as strict as a real one."""

    def __init__(self) -> None:
        super().__init__({"sockname": ("127.0.0.1", 80), "peername": ("127.0.0.1", 81)})
        self.written = bytearray()
        self.paused = self.ended = self.closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.ended, "written after the end"
        self.written += data

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def write_eof(self) -> None:
        self.ended = True

    def can_write_eof(self) -> bool:
        return True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = True


Seen = list[tuple[str, bytes, bytes]]


async def fed(pieces: list[bytes]) -> tuple[Wire, Seen]:
    """What comes of pieces of input, each read when the one before it has had its effect."""
    seen: Seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                await send({"type": "http.response.start", "status": 400, "headers": [(b"content-length", b"0")]})
                await send({"type": "http.response.body"})
                return
            body, more = body + message["body"], message["more_body"]
        seen.append((scope["method"], scope["extensions"][EXTENSION].target, body))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    faults: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: faults.append(context))
    wire, connection = Wire(), Protocol(app, ServerState(), None)
    connection.connection_made(wire)
    for piece in pieces:
        if not wire.closing:
            connection.data_received(piece)
        for _ in range(8):
            await asyncio.sleep(0)
    for hour in range(1, 4):
        connection.enforce_timeouts(loop.time() + hour * 3600)
        await asyncio.sleep(0)
    assert wire.closing
    connection.connection_lost(None)
    await asyncio.sleep(0)
    assert faults == []
    return wire, seen


def test_a_connection_shows_what_it_does() -> None:
    async def scenario() -> list[str]:
        answering = asyncio.Event()

        async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
            await answering.wait()
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})

        connection = Protocol(app, ServerState(), None)
        connection.connection_made(Wire())
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
@settings(max_examples=400, deadline=None)
def test_any_input_is_answered_and_closed_and_means_the_same_however_it_is_split(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted({cut for cut in cuts if cut < len(data)}), len(data)]
    pieces = [data[start:end] for start, end in itertools.pairwise(edges)]
    whole, seen = asyncio.run(fed([data]))
    split, seen_split = asyncio.run(fed(pieces))
    assert seen == seen_split
    for wire in (whole, split):
        assert re.match(rb"(HTTP/1\.1 \d{3} |$)", wire.written)
        assert b" 500 " not in wire.written


def test_the_body_of_a_translated_call_has_a_time_limit_even_if_it_makes_progress(
    monkeypatch: pytest.MonkeyPatch, upstream: Upstream, proxy: Proxy
) -> None:
    monkeypatch.setattr(call_body, "WHOLE_BODY_TIMEOUT", 0.2)
    with caller(proxy, f"{HEAD}Content-Length: 999999\r\n\r\n".encode()) as connection:
        assert until(lambda: _dripped(connection)).startswith(b"HTTP/1.1 408 ")  # of progress, and no end
    [record] = proxy.records()
    assert (record["outcome"], record["status"]) == ("rejected", 408)
    assert upstream.received == []
