"""An upstream on raw sockets that follows a script."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BufferedReader
from typing import BinaryIO, NamedTuple

from tests.support.waiting import PATIENCE
from tests.support.wire import read_fields, reset_on_close

RUN = b'{"id":"","slug":"7","status":"created","user":{"id":"u-1","slug":"alice"}}'


class Received(NamedTuple):
    """A request that the upstream received."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


Script = Callable[[socket.socket], None]
"""Handles one request on its connection."""


class _Close(OSError):
    """Raised by a script to end its connection."""


def reply(status: int = 200, body: bytes = RUN, headers: dict[str, str] | None = None) -> Script:
    """Send a whole response, and keep the connection open."""
    head = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    return sends(f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode("latin-1") + body)


def sends(data: bytes) -> Script:
    """Send some bytes, and keep the connection open."""
    return lambda connection: connection.sendall(data)


def closes(data: bytes = b"") -> Script:
    """Send some bytes, and close."""

    def script(connection: socket.socket) -> None:
        connection.sendall(data)
        raise _Close

    return script


def resets(connection: socket.socket) -> None:
    """Reset the connection."""
    reset_on_close(connection)
    raise _Close


def held(release: threading.Event) -> Script:
    """Send a run, once released."""

    def script(connection: socket.socket) -> None:
        assert release.wait(PATIENCE)
        reply()(connection)

    return script


def stays_silent(_connection: socket.socket) -> None:
    """Send nothing, and keep the connection open."""


@dataclass
class Upstream:
    """An HTTP server on raw sockets.

    Attributes:
        script: handles each request.
        received: every complete request, oldest first.
        arrived: set by each complete request.
        tls: if set, it speaks TLS.
        connections: how many there have been.
        begun: for every request of which at least one byte arrived, the number of its connection.
    """

    script: Script = field(default_factory=reply)
    received: list[Received] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)
    tls: ssl.SSLContext | None = None
    url: str = ""
    connections: int = 0
    begun: list[int] = field(default_factory=list)

    @contextlib.contextmanager
    def running(self, listener: socket.socket | None = None) -> Iterator["Upstream"]:
        """Serve on a free port, or on a bound socket."""
        with listener or socket.create_server(("127.0.0.1", 0)) as listening:
            listening.listen(1024)
            self.url = "http://{}:{}".format(*listening.getsockname())
            threading.Thread(target=self._accept, args=(listening,), daemon=True).start()
            yield self
            # Closing alone does not wake a thread that waits in accept.
            listening.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), self._secured(connection) as secured, secured.makefile("rb") as stream:
            while (request := self._next(stream, number)) is not None:
                self.received.append(request)
                self.arrived.set()
                self.script(secured)
                if request.all("transfer-encoding"):
                    _skip_chunks(stream)
            secured.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    def _next(self, stream: BufferedReader, number: int) -> Received | None:
        if stream.peek(1):
            self.begun.append(number)
        return _read(stream)

    def _secured(self, connection: socket.socket) -> socket.socket:
        return secured(connection, self.tls) if self.tls is not None else connection


def secured(connection: socket.socket, tls: ssl.SSLContext) -> ssl.SSLSocket:
    """Do a server's handshake. If it fails, wait for the client to close: a reset could overtake the alert.

    Raises:
        ssl.SSLError: it failed.
    """
    found = tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
    try:
        found.do_handshake()
    except ssl.SSLError:
        with found, contextlib.suppress(OSError):
            while socket.socket.recv(found, 1 << 14):
                pass
        raise
    return found


def _read(stream: BinaryIO) -> Received | None:
    start = stream.readline().decode("latin-1").split()
    if len(start) != 3 or not start[2].startswith("HTTP/"):  # a TLS greeting may have three words, too
        return None
    headers = [(name.decode("latin-1"), value.decode("latin-1").strip()) for name, value in read_fields(stream)]
    length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
    return Received(start[0], start[1], headers, stream.read(length))


def _skip_chunks(stream: BinaryIO) -> None:
    """Skip the chunks that a script left unread; they would be taken for the next request."""
    with contextlib.suppress(ValueError):
        while size := int(stream.readline().partition(b";")[0] or b"0", 16):
            stream.read(size + 2)
        while stream.readline() not in {b"\r\n", b""}:
            pass
