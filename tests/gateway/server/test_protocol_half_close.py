"""Callers that end their side of the connection after their request: those that still read, and those that are gone."""

import asyncio
import contextlib
import gc
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest

from proxy.gateway import delivery
from proxy.gateway.server import protocol
from tests.support.certificates import certified
from tests.support.programs import program
from tests.support.proxy import HEAD, Proxy, proxy_for
from tests.support.upstream import RUN, Upstream, held, reply
from tests.support.waiting import PATIENCE, until
from tests.support.wire import Wire

TRIGGERS = f"{HEAD}Content-Length: 2\r\n\r\n{{}}".encode()
LISTS = b"GET /acme/shop/cicd/runs HTTP/1.1\r\nHost: h\r\n\r\n"
PASSES = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"


class Secured(Wire):
    """A caller over TLS, which half-closes by a close_notify, as Go's ``CloseWrite`` does."""

    def __init__(self, connection: socket.socket, context: ssl.SSLContext) -> None:
        super().__init__(connection)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname="127.0.0.1")
        while not self._tried(self._tls.do_handshake):
            self._in.write(self.socket.recv(1 << 16))

    def _tried(self, step: Any, *arguments: Any) -> Any:
        """What a step returns, or True for nothing; False where it waits for more."""
        try:
            return step(*arguments) or True
        except ssl.SSLZeroReturnError:  # the end, where both sides have said so
            return True
        except ssl.SSLWantReadError:
            return False
        finally:
            if self._out.pending:
                self.socket.sendall(self._out.read())

    def send(self, data: bytes) -> None:
        self._tried(self._tls.write, data)

    def half_close(self) -> None:
        self._tried(self._tls.unwrap)

    def rest(self) -> bytes:
        received = bytearray()
        while (piece := self._tried(self._tls.read, 1 << 16)) is not True:
            if piece:
                received += piece
            else:
                encrypted = self.socket.recv(1 << 16)
                assert encrypted, "the end of TLS is missing"
                self._in.write(encrypted)
        return bytes(received)


class Ended(Secured):
    """A caller that ends the TCP connection, too, right after its close_notify."""

    def half_close(self) -> None:
        super().half_close()
        Wire.half_close(self)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # it has been closed already
            self.half_close()
        super().close()


class Line(NamedTuple):
    """A proxy, and a kind of caller."""

    proxy: Proxy
    kind: type[Wire]
    context: ssl.SSLContext | None

    def caller(self, request: bytes = b"") -> Wire:
        if self.context is None:
            return self.proxy.wire(request)
        caller = cast("type[Secured]", self.kind)(self.proxy.connect(), self.context)
        caller.send(request)
        return caller

    def sees(self) -> None:
        """Return when the proxy has read what was sent to it before, since it answers a later call."""
        with self.caller(b"GET /-/healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n") as later:
            assert b" 200 " in later.rest()


LINES: dict[str, tuple[type[Wire], ssl.TLSVersion | None]] = {
    "TCP": (Wire, None),
    "Unix": (Wire, None),
    "TLS 1.2": (Secured, ssl.TLSVersion.TLSv1_2),
    "TLS 1.3": (Secured, ssl.TLSVersion.TLSv1_3),
    "TLS 1.2 and TCP": (Ended, ssl.TLSVersion.TLSv1_2),
    "TLS 1.3 and TCP": (Ended, ssl.TLSVersion.TLSv1_3),
}


@pytest.fixture(autouse=True)
def silent(stderr: Path) -> Iterator[None]:
    """The proxy logs no faults, not even of background tasks."""
    yield
    gc.collect()
    assert stderr.read_text() == ""


@pytest.fixture(params=LINES)
def line(request: pytest.FixtureRequest, upstream: Upstream, tmp_path: Path) -> Iterator[Line]:
    kind, version = LINES[request.param]
    if version is None:
        where: dict[str, Any] = {"listen": f"unix:{tmp_path}/socket"} if request.param == "Unix" else {}
        with proxy_for(upstream.url, tmp_path, **where) as proxy:
            yield Line(proxy, kind, None)
    else:
        tls, trusting = certified(tmp_path)
        trusting.maximum_version = trusting.minimum_version = version
        with proxy_for(upstream.url, tmp_path, tls=tls) as proxy:
            yield Line(proxy, kind, trusting)


def recorded(proxy: Proxy, count: int) -> list[tuple[str, bool]]:
    """What became of so many calls, and whether their callers are gone, in some order."""
    until(lambda: len(proxy.records()) >= count)
    return sorted((record["outcome"], record.get("client_gone", False)) for record in proxy.records())


def test_callers_that_half_close_have_a_run_each(line: Line, upstream: Upstream) -> None:
    for _ in range(2):
        with line.caller(TRIGGERS) as caller:
            caller.half_close()
            answer = caller.rest()
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b'"trigger_status":"created"' in answer
    assert recorded(line.proxy, 2) == [("forwarded", False)] * 2
    assert len(upstream.received) == 2


def test_callers_that_half_close_at_the_same_time_have_a_run_each(line: Line, upstream: Upstream) -> None:
    release = threading.Event()
    upstream.script = held(release)
    with contextlib.ExitStack() as stack:
        callers = [stack.enter_context(line.caller(TRIGGERS)) for _ in range(3)]
        for caller in callers:
            caller.half_close()
        line.sees()
        release.set()
        assert all(b'"trigger_status":"created"' in caller.rest() for caller in callers)
    assert recorded(line.proxy, 3) == [("forwarded", False)] * 3
    assert len(upstream.received) == 3


def test_a_caller_behind_one_that_half_closed_has_its_own_run(line: Line, upstream: Upstream) -> None:
    release = threading.Event()
    upstream.script = held(release)
    with line.caller(TRIGGERS) as first, line.caller() as second:
        first.half_close()
        line.sees()
        second.send(TRIGGERS.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        line.sees()
        assert upstream.arrived.wait(20)
        assert len(upstream.received) == 1  # for what becomes of the first is not known
        release.set()
        assert [b'"created"' in caller.rest() for caller in (first, second)] == [True, True]
    assert len(upstream.received) == 2


@pytest.mark.parametrize("before", [False, True], ids=["at once", "after it has half-closed"])
def test_the_run_of_a_caller_that_gave_up_goes_to_its_retry(line: Line, upstream: Upstream, *, before: bool) -> None:
    release = threading.Event()
    upstream.script = held(release)
    caller = line.caller(TRIGGERS)
    assert upstream.arrived.wait(20)
    if before:
        caller.half_close()
        line.sees()
    caller.close()
    with line.caller(TRIGGERS) as retry:
        line.sees()
        release.set()
        retry.half_close()
        assert b'"trigger_status":"already_exists"' in retry.rest()
    assert recorded(line.proxy, 2) == [("forwarded", True), ("redelivered", False)]
    assert len(upstream.received) == 1


@pytest.mark.parametrize("before", [False, True], ids=["at once", "after it has half-closed"])
def test_a_reset_shows_a_caller_that_is_gone(line: Line, upstream: Upstream, *, before: bool) -> None:
    release = threading.Event()
    upstream.script = held(release)
    caller = line.caller(TRIGGERS)
    assert upstream.arrived.wait(20)
    if before:
        caller.half_close()
        line.sees()
    caller.reset()
    line.sees()
    release.set()
    assert recorded(line.proxy, 1) == [("forwarded", True)]
    with line.caller(TRIGGERS) as retry:
        retry.half_close()
        assert b'"trigger_status":"already_exists"' in retry.rest()


def test_retries_that_give_up_one_after_the_other_leave_one_run(line: Line, upstream: Upstream) -> None:
    release = threading.Event()
    upstream.script = held(release)
    for _ in range(5):
        line.caller(TRIGGERS).close()
        line.sees()
    with line.caller(TRIGGERS) as last:
        line.sees()
        release.set()
        last.half_close()
        assert b'"trigger_status":"already_exists"' in last.rest()
    gone = [("forwarded", True), *[("redelivered", True)] * 4]
    assert recorded(line.proxy, 6) == sorted([*gone, ("redelivered", False)])
    assert len(upstream.received) == 1


# While requests wait for their turn, TLS is read no further: the event loop sees the end of TCP first, and closes.
@pytest.mark.parametrize("line", ["TCP", "Unix", "TLS 1.2", "TLS 1.3"], indirect=True)
def test_requests_that_were_sent_ahead_of_a_half_close_are_answered(line: Line, upstream: Upstream) -> None:
    with line.caller(TRIGGERS + LISTS + PASSES + TRIGGERS) as caller:
        caller.half_close()
        answers = caller.rest()
    assert answers.count(b"HTTP/1.1 200 OK\r\n") == 4
    assert recorded(line.proxy, 3) == [("forwarded", False)] * 3
    assert [request.method for request in upstream.received] == ["POST", "GET", "GET", "POST"]


def test_a_bad_request_before_a_half_close_is_refused_in_its_turn(line: Line, upstream: Upstream) -> None:
    release = threading.Event()
    upstream.script = held(release)
    with line.caller(TRIGGERS + b"garbage\r\n\r\n") as caller:
        caller.half_close()
        line.sees()
        release.set()
        answers = caller.rest()
    assert (answers.count(b"HTTP/1.1 200 OK\r\n"), answers.count(b"HTTP/1.1 400 ")) == (1, 1)
    assert recorded(line.proxy, 1) == [("forwarded", False)]


@pytest.mark.parametrize("stays", [True, False])
def test_a_caller_of_another_endpoint_is_gone_only_if_it_does_not_take_its_answer(
    line: Line, upstream: Upstream, *, stays: bool
) -> None:
    release = threading.Event()
    upstream.script = held(release)
    with line.caller(LISTS) as caller:
        assert upstream.arrived.wait(20)
        caller.half_close()
        if not stays:
            caller.close()
        line.sees()
        release.set()
        if stays:
            assert caller.rest().endswith(RUN)
        assert recorded(line.proxy, 1) == [("forwarded", not stays)]


@pytest.mark.parametrize("request_", [LISTS, PASSES])
def test_a_caller_that_half_closes_gets_a_large_answer(line: Line, upstream: Upstream, request_: bytes) -> None:
    body = b"x" * (4 << 20)  # more than the kernel takes at once
    upstream.script = reply(body=body)
    with line.caller(request_) as caller:
        caller.half_close()
        assert caller.rest().endswith(b"\r\n\r\n" + body)
    if request_ == LISTS:
        assert recorded(line.proxy, 1) == [("forwarded", False)]


def test_a_caller_that_half_closes_may_be_slow_to_read(
    monkeypatch: pytest.MonkeyPatch, upstream: Upstream, proxy: Proxy
) -> None:
    monkeypatch.setattr(delivery, "PATIENCE", 1.0)  # enough for the kernel to ask after a reader that has no room
    body = b"x" * 60_000
    upstream.script = reply(body=body)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((proxy.host, proxy.port))
        caller = Wire(connection)
        caller.send(LISTS)
        caller.half_close()
        assert recorded(proxy, 1) == [("forwarded", False)]
        assert caller.rest().endswith(b"\r\n\r\n" + body)


@pytest.mark.parametrize("line", ["Unix"], indirect=True)
@pytest.mark.parametrize("reads", [True, False])
def test_an_answer_that_lies_unread_in_a_unix_socket_is_not_delivered_yet(
    monkeypatch: pytest.MonkeyPatch, line: Line, upstream: Upstream, *, reads: bool
) -> None:
    monkeypatch.setattr(delivery, "PATIENCE", PATIENCE)
    release = threading.Event()
    upstream.script = held(release)
    with line.caller(TRIGGERS) as caller:
        caller.half_close()
        line.sees()  # or the answer may be sent before that
        release.set()
        assert caller.socket.recv(1, socket.MSG_PEEK) == b"H"
        line.sees()
        if reads:
            assert b'"trigger_status":"created"' in caller.rest()
    assert recorded(line.proxy, 1) == [("forwarded", not reads)]
    with line.caller(TRIGGERS) as retry:
        retry.half_close()
        assert (b'"trigger_status":"created"' if reads else b'"trigger_status":"already_exists"') in retry.rest()
    assert len(upstream.received) == 1 + reads


def test_a_caller_that_half_closes_without_a_request_is_disconnected(line: Line) -> None:
    for sent in (b"", PASSES[:9], PASSES[:-2]):
        with line.caller(sent) as caller:
            caller.half_close()
            assert caller.rest() == b""


def test_a_caller_that_half_closes_within_a_body_gets_an_error(line: Line, upstream: Upstream) -> None:
    with line.caller(f"{HEAD}Content-Length: 9\r\n\r\n{{}}".encode()) as caller:
        caller.half_close()
        assert caller.rest().startswith(b"HTTP/1.1 400 ")
    assert recorded(line.proxy, 1) == [("rejected", False)]
    assert upstream.received == []


def test_an_idle_connection_is_closed_when_its_caller_half_closes(line: Line) -> None:
    with line.caller(PASSES) as caller:
        line.sees()
        caller.half_close()
        assert caller.rest().endswith(RUN)


TOOLS = {"nc": (["-N"], "{0} {1}"), "socat": (["-t", "20", "-"], "TCP:{0}:{1}")}


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tool_that_half_closes_has_a_run_for_each_of_its_calls(upstream: Upstream, proxy: Proxy, tool: str) -> None:
    options, address = TOOLS[tool]
    command = [program(tool), *options, *address.format(proxy.host, proxy.port).split()]
    for _ in range(2):
        ended = subprocess.run(command, input=TRIGGERS, capture_output=True, timeout=20, check=True)
        assert b'"trigger_status":"created"' in ended.stdout
    assert recorded(proxy, 2) == [("forwarded", False)] * 2
    assert len(upstream.received) == 2


@pytest.mark.parametrize("line", ["TLS 1.3"], indirect=True)  # over TCP the end of the answer comes before the reset
def test_a_caller_that_does_not_acknowledge_its_answer_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, line: Line, upstream: Upstream
) -> None:
    release = threading.Event()
    upstream.script = held(release)

    async def never(_: asyncio.Transport) -> bool:
        return False

    monkeypatch.setattr(protocol, "acknowledged", never)
    with line.caller(TRIGGERS) as caller:
        caller.half_close()
        line.sees()
        release.set()
        with pytest.raises(ConnectionResetError):
            caller.rest()
    assert recorded(line.proxy, 1) == [("forwarded", True)]
