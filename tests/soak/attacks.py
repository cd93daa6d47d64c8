"""What strangers do: each attack is a context that is entered with the port of the proxy."""

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.bench.load import BODY, PATH

PATIENCE = 30.0
"""Seconds for a connection or an answer."""

BODY_SIZE = (1 << 20) - 1
"""Bytes of a trigger's body, of which the last one never comes."""

REJECTED = 60_000
"""Calls that are rejected."""

AT_ONCE = 50
"""How many of them are sent before their answers are read."""


class Attack(NamedTuple):
    """What strangers do.

    Attributes:
        name: what the table calls it.
        strangers: does it while the block runs.
        memory: MiB that the proxy may have at most.
        log: bytes that its log may grow by, for all other calls, too.
    """

    name: str
    strangers: Callable[[int], contextlib.AbstractContextManager[None]]
    memory: int
    log: int = 16 << 10


def many(callers: int, request: bytes) -> Callable[[int], contextlib.AbstractContextManager[None]]:
    """Callers that send a request at the same time, read nothing and stay."""

    @contextlib.contextmanager
    def strangers(port: int) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            connections = [stack.enter_context(connected(port)) for _ in range(callers)]
            _send_all(connections, request)
            yield

    return strangers


@contextlib.contextmanager
def quotes(port: int) -> Iterator[None]:
    """One call with 60,000 quotes in its path."""
    path = '"' * 60_000
    status(
        port, f"POST /acme/shop/ci_workflows/{path}/trigger HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n".encode()
    )
    yield


@contextlib.contextmanager
def rejected(port: int) -> Iterator[None]:
    """Triggers that are not valid, each from a user agent that is made up."""
    call = f"POST {PATH} HTTP/1.1\r\nHost: h\r\nUser-Agent: made-up/%d\r\nContent-Length: 1\r\n\r\n{{".encode()
    with connected(port) as caller:
        for first in range(0, REJECTED, AT_ONCE):
            caller.sendall(b"".join(call % number for number in range(first, first + AT_ONCE)))
            answers = b""
            while answers.count(b"HTTP/1.1 ") < AT_ONCE:
                answers += caller.recv(65536)
        yield


def _upload(length: int, sent: int) -> bytes:
    return b"POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % length + b"x" * sent


_TRIGGER = f"POST {PATH} HTTP/1.1\r\nHost: h\r\nContent-Length: {BODY_SIZE + 1}\r\n\r\n".encode() + b" " * BODY_SIZE

ATTACKS = {
    "unread": Attack(
        "500 callers that never read 20 MiB", many(500, b"GET /big HTTP/1.1\r\nHost: h\r\n\r\n"), memory=100
    ),
    "bodies": Attack("1,000 triggers of 1 MiB less a byte", many(1000, _TRIGGER), memory=180, log=1 << 20),
    "uploads": Attack("520 uploads of one byte", many(520, _upload(1_000_000, 1)), memory=100),
    "stalled": Attack("520 uploads that stop after 64 KiB", many(520, _upload(1_000_000, 64 << 10)), memory=120),
    "quotes": Attack("60,000 quotes in a path", quotes, memory=100),
    "rejected": Attack("60,000 rejected triggers", rejected, memory=100, log=REJECTED << 10),
}


def connected(port: int) -> socket.socket:
    """A connection to a port of the loopback interface."""
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def _send_all(callers: list[socket.socket], request: bytes) -> None:
    """Send as much as each takes, over all at once, until nobody takes more for two seconds."""
    left = {caller: memoryview(request) for caller in callers}
    for caller in callers:
        caller.setblocking(False)
    last = time.monotonic()
    while left and time.monotonic() < last + 2:
        sent = 0
        for caller, data in list(left.items()):
            try:
                count = caller.send(data[: 64 << 10])
            except BlockingIOError:
                continue
            except OSError:
                del left[caller]
                continue
            sent += count
            left[caller] = data[count:]
            if not left[caller]:
                del left[caller]
        if sent:
            last = time.monotonic()
        else:
            time.sleep(0.01)
    time.sleep(2)  # for what is sent to arrive


def honest(port: int) -> list[int]:
    """The statuses of a trigger and of a call that is passed through."""
    requests = (
        f"POST {PATH} HTTP/1.1\r\nHost: h\r\nContent-Length: {len(BODY)}\r\n\r\n".encode() + BODY.encode(),
        b"POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
    )
    return [status(port, request) for request in requests]


def status(port: int, request: bytes) -> int:
    """The status of the answer to a request; 0 if there is none."""
    try:
        with connected(port) as caller:
            caller.sendall(request)
            return int(caller.recv(65536).split()[1])
    except (OSError, IndexError):
        return 0
