"""The upstream of a soak, a process of its own: does with each request what the end of its id says, and keeps account.

It prints its port, and writes its account when it is ended by SIGTERM.
"""

import asyncio
import itertools
import re
import signal
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

RESTART_EVERY = 1000
"""Requests between two restarts."""

RESTART = 0.05
"""Seconds for which it refuses connections in one."""

_ID = re.compile(rb"\r\nx-request-id: ([^\r]+)", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: chunked", re.IGNORECASE)


class Account(msgspec.Struct):
    """What it has done.

    Attributes:
        received: how often each request came whole, by its id.
        runs: slugs of the runs that each was answered with, whole.
        hung_up: connections that it closed although no request was under way.
        restarts: how often it was restarted.
    """

    received: dict[str, int] = {}
    runs: dict[str, list[str]] = {}
    hung_up: int = 0
    restarts: int = 0


class Connection(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self, upstream: "Upstream") -> None:
        self._upstream = upstream
        self._buffer = b""
        self.id, self.slug = "", ""
        self.is_idle = True

    @property
    def number(self) -> int:
        """Of the run that its request is answered with."""
        return int(self.slug)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._upstream.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._upstream.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self.is_idle = False
        if _is_whole(self._buffer):
            found = _ID.search(self._buffer)
            self._buffer = b""
            self._upstream.serve(self, found[1].decode() if found else "without an id")

    def later(self, seconds: float, does: Callable[[], None]) -> None:
        """Do something after a while."""
        asyncio.get_running_loop().call_later(seconds, does)

    def run(self, answer: bytes | None = None) -> None:
        """Answer whole, with a run."""
        if not self.transport.is_closing():
            self.write(answer or whole(run(self.slug)))
            self._upstream.account.runs.setdefault(self.id, []).append(self.slug)
        self.is_idle = True

    def write(self, answer: bytes) -> None:
        """Answer with something."""
        self.transport.write(answer)
        self.is_idle = True

    def close(self, last: bytes = b"") -> None:
        """Answer with something, and close."""
        self.transport.write(last)
        self.transport.close()

    def reset(self) -> None:
        """Break off with a reset."""
        own: socket.socket = self.transport.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def hang_up(self) -> None:
        """Close, unless a request is under way."""
        if self.is_idle and not self.transport.is_closing():
            self._upstream.account.hung_up += 1
            self.transport.close()


def _is_whole(request: bytes) -> bool:
    head, end, body = request.partition(b"\r\n\r\n")
    if not end:
        return False
    if _CHUNKED.search(head):
        return body.endswith(b"0\r\n\r\n")
    length = _LENGTH.search(head)
    return len(body) >= (int(length[1]) if length else 0)


def run(slug: str, status: str = "created") -> bytes:
    return b'{"id":"","slug":"%b","status":"%b","user":{"id":"u-1","slug":"alice"}}' % (slug.encode(), status.encode())


def whole(body: bytes, status: int = 200, kind: str = "application/json", more: str = "") -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


def _chunked(slug: str) -> bytes:
    body = run(slug)
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:9], body[9:]))
    return b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks


def _interim(connection: Connection) -> None:
    connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
    connection.later(connection.number % 3 / 1000, connection.run)


def _to_the_end(connection: Connection) -> None:
    connection.run(b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\n\r\n" + run(connection.slug))
    connection.transport.close()


def _says_close(connection: Connection) -> None:
    connection.run(whole(run(connection.slug), more="Connection: close\r\n"))
    connection.transport.close()


def _drops(connection: Connection) -> None:
    connection.run()
    connection.later(connection.number % 4 / 1000, connection.hang_up)


_ERROR = b'{"error_code":"Conflict","message":"no","request_id":"u-1","details":{}}'
_PAGE = b"<html><h1>503</h1></html>"

DOES: dict[str, Callable[[Connection], None]] = {
    "run": Connection.run,
    "slow": lambda its: its.later(its.number % 20 / 1000, its.run),
    "chunked": lambda its: its.run(_chunked(its.slug) + b"0\r\n\r\n"),
    "to_the_end": _to_the_end,
    "interim": _interim,
    "surplus": lambda its: its.run(whole(run(its.slug)) + whole(run("999999999"))),
    "says_close": _says_close,
    "drops": _drops,
    "nothing": lambda its: its.run(whole(run(its.slug, "success"))),
    "error": lambda its: its.write(whole(_ERROR, 409)),
    "page": lambda its: its.write(whole(_PAGE, 503, "text/html")),
    "no_run": lambda its: its.write(whole(b"{}")),
    "garbage": lambda its: its.write(b"NOTHING LIKE HTTP\r\n\r\n"),
    "half_head": lambda its: its.close(b"HTTP/1.1 200 X\r\nContent-Le"),
    "cut": lambda its: its.close(whole(run(its.slug))[:-5]),
    "cut_chunk": lambda its: its.close(_chunked(its.slug)),
    "closes": Connection.close,
    "resets": Connection.reset,
    "silent": lambda _its: None,
}
"""What each fault is."""


class Upstream:
    """Serves, and is restarted now and then: it refuses connections for a moment, and has closed the idle ones.

    Attributes:
        account: of what it has done.
        connections: that are open.
    """

    def __init__(self) -> None:
        self.account = Account()
        self.connections: set[Connection] = set()
        self._slugs = itertools.count(1)
        self._served = 0
        self._restarting: asyncio.Task[None] | None = None

    async def listen(self, port: int = 0) -> int:
        """Take connections, and say on which port."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Connection(self), "127.0.0.1", port, backlog=1024
        )
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    def serve(self, connection: Connection, request_id: str) -> None:
        """Do what is to be done with a request."""
        received = self.account.received
        received[request_id] = received.get(request_id, 0) + 1
        connection.id, connection.slug = request_id, str(next(self._slugs))
        DOES.get(request_id.rpartition(".")[2], Connection.run)(connection)
        self._served += 1
        if self._served % RESTART_EVERY == 0:
            self._restarting = asyncio.create_task(self._restart())

    async def _restart(self) -> None:
        self.account.restarts += 1
        port = self._server.sockets[0].getsockname()[1]
        self._server.close()
        for connection in self.connections.copy():
            connection.hang_up()
        await asyncio.sleep(RESTART)
        await self.listen(port)


async def _serve() -> Account:
    upstream, over = Upstream(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    print(await upstream.listen(), flush=True)
    await over.wait()
    return upstream.account


def main() -> None:
    """Serve until the end, and write the account into the file that is named."""
    file = Path(sys.argv[1])
    file.write_bytes(msgspec.json.encode(asyncio.run(_serve())))


if __name__ == "__main__":
    main()
