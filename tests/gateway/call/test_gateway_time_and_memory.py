"""How long the proxy waits, and how much it holds."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.gateway.app import App
from tests.gateway.call.relaying import OK, begun, begun_at, get, pour, record_of
from tests.support.by_hand import ByHand, by_hand
from tests.support.processes import running
from tests.support.proxy import Proxy
from tests.support.sockets import free_port
from tests.support.waiting import PATIENCE, until
from tests.support.wire import Broken, Wire


def sent_until_full(wire: Wire) -> int:
    """Send until the other end takes no more, and say how much it took."""
    total, piece = 0, bytes(1 << 16)
    wire.socket.settimeout(0.5)
    with contextlib.suppress(TimeoutError):
        while total < 256 << 20:
            total += wire.socket.send(piece)
    wire.socket.settimeout(20)
    return total


def largest(buffer: str) -> int:
    """Bytes to which Linux lets the buffer of a socket grow."""
    return int(Path("/proc/sys/net/ipv4", buffer).read_text().split()[2])


# What the kernel holds of four sockets, and the proxy's own buffers.
HELD = 2 * (largest("tcp_rmem") + largest("tcp_wmem")) + (1 << 20)


def test_a_slow_caller_slows_the_upstream_down(hands: ByHand) -> None:
    length = 256 << 20
    caller = hands.caller(get())
    upstream = hands.upstream()
    upstream.head()
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length)
    total = sent_until_full(upstream)
    assert total < HELD
    caller.head()
    caller.body(total)


def test_a_slow_upstream_slows_the_caller_down(hands: ByHand) -> None:
    caller = hands.caller(begun(256 << 20))
    upstream = begun_at(hands)
    total = sent_until_full(caller)
    assert total < HELD
    upstream.body(total)


TIMEOUT = 2.0
LONGER = TIMEOUT + 0.2
IMPATIENT = {"timeout": TIMEOUT, "connect_timeout": TIMEOUT - 0.1}


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[ByHand]:
    with by_hand(tmp_path, upstream=IMPATIENT) as hands:
        app(hands).upstream._limits["connect"] = PATIENCE  # none of these tests is about that
        yield hands


def app(hands: ByHand) -> App:
    assert hands.proxy.app is not None
    return hands.proxy.app


def pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def test_an_upstream_that_does_not_begin_to_answer_is_given_up(impatient: ByHand) -> None:
    caller = impatient.caller(get(b"/acme/shop/cicd/runs", b"X-Request-ID: silent\r\n"))
    upstream = impatient.upstream()
    upstream.head()
    head, body = caller.answer()
    assert head.status == 504
    assert b'"UpstreamTimeout"' in body
    assert upstream.ended()
    assert record_of(impatient.proxy, b"silent")["outcome"] == "timeout"


def test_an_upstream_that_rests_in_its_answer_breaks_the_caller_off(impatient: ByHand) -> None:
    caller = impatient.caller(get())
    upstream = impatient.upstream()
    upstream.head()
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1234")
    caller.head()
    with pytest.raises((Broken, ConnectionResetError)):
        caller.body(9)
    assert upstream.ended()


def test_an_upstream_that_takes_no_more_of_a_request_is_given_up(impatient: ByHand) -> None:
    caller = impatient.caller(begun(256 << 20))
    impatient.upstream().head()
    with contextlib.suppress(ConnectionError):
        sent_until_full(caller)
    assert caller.head().status == 504


def test_a_long_steady_answer_is_not_cut_off(impatient: ByHand) -> None:
    caller = impatient.caller(get())
    upstream = impatient.upstream()
    upstream.head()
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")
    for _ in range(8):
        pause(LONGER / 8)
        upstream.send(b"x")
    assert caller.answer().body == b"x" * 8


def test_a_long_steady_request_is_not_cut_off(impatient: ByHand) -> None:
    caller = impatient.caller(begun(8))
    upstream = begun_at(impatient)
    for _ in range(8):
        pause(LONGER / 8)
        caller.send(b"x")
    assert upstream.body(8) == b"x" * 8
    upstream.send(OK)
    assert caller.answer().status == 200


def test_the_time_in_which_the_caller_rests_is_not_the_upstreams(impatient: ByHand) -> None:
    caller = impatient.caller(begun(2))
    upstream = begun_at(impatient)
    pause(LONGER)
    caller.send(b"ab")
    assert upstream.body(2) == b"ab"
    length = 64 << 20
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length)
    total = sent_until_full(upstream)
    while not waits_for_the_caller(impatient):  # a proxy that was only held up would soon wait for the upstream
        total += sent_until_full(upstream)
    pause(LONGER)
    sending = threading.Thread(target=upstream.send, args=(bytes(length - total),))
    sending.start()
    assert len(caller.answer().body) == length
    sending.join()


def waits_for_the_caller(hands: ByHand) -> bool:
    """Whether the proxy reads no more of an answer, because its caller takes no more."""
    [connection] = app(hands).upstream._pools[1]._connections
    since = connection.paused_at
    hands.proxy.has_read()  # by then it would have gone on
    return since is not None and connection.paused_at == since


SIZE = 200 << 20
RESIDENT = 120 << 10  # KiB


@contextlib.contextmanager
def serving(upstream: str, folder: Path) -> Iterator[tuple[Proxy, int]]:
    """A proxy in a process of its own, and that process's number."""
    port = free_port()
    command = [sys.executable, "-m", "proxy", "serve", "--listen", f"127.0.0.1:{port}", "--upstream", upstream]
    given = {**os.environ, "TRIGGER_SHIM__ADMIN": "null", "TRIGGER_SHIM__CALLERS__LOG": str(folder / "callers.jsonl")}
    with running(subprocess.Popen(command, env=given, cwd=folder)) as process:
        proxy = Proxy("127.0.0.1", port, folder / "callers.jsonl")
        until(lambda: listens(proxy))
        yield proxy, process.pid


def listens(proxy: Proxy) -> bool:
    with contextlib.suppress(ConnectionRefusedError):
        return proxy.call("/-/readyz", method="GET", body=None).status == 200
    return False


def peak(process: int) -> int:
    """The most memory that a process had resident, in KiB."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def drain(wire: Wire, size: int) -> int:
    piece, got = bytearray(1 << 20), 0
    while got < size and (count := wire.stream.readinto1(piece)):  # type: ignore[attr-defined]
        got += count
    return got


def test_bodies_of_any_size_go_through_in_little_memory(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = "http://{}:{}".format(*listener.getsockname())
        with serving(url, tmp_path) as (proxy, process):
            hands = ByHand(proxy, listener)
            length = b"Content-Length: %d\r\n" % SIZE
            caller = hands.caller(begun(SIZE))
            upstream = begun_at(hands)
            carried(caller, upstream)
            upstream.send(b"HTTP/1.1 200 OK\r\n%b\r\n" % length)
            caller.head()
            carried(upstream, caller)
            most = peak(process)
            hands.settle()
    assert most < RESIDENT


def carried(source: Wire, sink: Wire) -> None:
    pouring = threading.Thread(target=pour, args=(source, SIZE))
    pouring.start()
    assert drain(sink, SIZE) == SIZE
    pouring.join()
