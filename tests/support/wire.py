"""Raw HTTP over a socket: one end of a connection, written and read byte by byte."""

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, NamedTuple, Self

from tests.support.waiting import PATIENCE


class Head(NamedTuple):
    """The first line and the headers of a request or a response, as the bytes that came."""

    line: bytes
    headers: list[tuple[bytes, bytes]]

    @property
    def status(self) -> int:
        assert self.line.startswith(b"HTTP/1.1 "), self.line
        return int(self.line.split()[1])

    @property
    def target(self) -> bytes:
        return self.line.split(b" ")[1]

    def all(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


class Answer(NamedTuple):
    """A whole response."""

    head: Head
    body: bytes

    @property
    def status(self) -> int:
        return self.head.status

    @property
    def headers(self) -> list[tuple[str, str]]:
        return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.head.headers]

    def json(self) -> Any:
        return json.loads(self.body)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        return next(iter(self.all(name)), None)


class Broken(Exception):
    """The connection ended in the middle of a message, or before it."""


def read_head(stream: BinaryIO) -> Head:
    """Read a first line and its headers.

    Raises:
        Broken: the connection ended before the first line.
    """
    line = stream.readline()
    if line in {b"\r\n", b""}:
        raise Broken
    return Head(line.removesuffix(b"\r\n"), read_fields(stream))


def read_fields(stream: BinaryIO) -> list[tuple[bytes, bytes]]:
    """Read headers up to an empty line, or the end of the connection."""
    fields = []
    while (line := stream.readline()) not in {b"\r\n", b""}:
        name, _, value = line.removesuffix(b"\r\n").partition(b":")
        fields.append((name, value.removeprefix(b" ")))
    return fields


def read_body(stream: BinaryIO, length: int) -> bytes:
    """Read a number of bytes.

    Raises:
        Broken: the connection ended before.
    """
    content = stream.read(length)
    if len(content) < length:
        raise Broken
    return content


def read_chunk(stream: BinaryIO) -> bytes:
    """Read one chunk; the last one is empty.

    Raises:
        Broken: the connection ended before.
    """
    line = stream.readline()
    if not line:
        raise Broken
    content = read_body(stream, int(line, 16))
    assert read_body(stream, 2) == b"\r\n"
    return content


def read_answer(stream: BinaryIO, method: str = "GET") -> Answer:
    """Read a whole response to a method.

    Raises:
        Broken: the connection ended before.
    """
    head = read_head(stream)
    lengths = head.all(b"content-length")
    if method == "HEAD" or head.status in {100, 204, 304}:
        return Answer(head, b"")
    if head.all(b"transfer-encoding") == [b"chunked"]:
        return Answer(head, b"".join(iter(lambda: read_chunk(stream), b"")))
    return Answer(head, read_body(stream, int(lengths[0])) if lengths else stream.read())


def reset_on_close(connection: socket.socket) -> None:
    """Have a connection end with a reset instead of a FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Wire:
    """One end of a connection that speaks HTTP/1.1.

    What is read raises `Broken` where the connection ends in the middle.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = connection
        self.stream: BinaryIO = connection.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def offer(self, data: bytes) -> None:
        """Send as much as the other end takes: it may refuse and close in the middle."""
        with contextlib.suppress(ConnectionError):
            self.send(data)

    def head(self) -> Head:
        return read_head(self.stream)

    def body(self, length: int) -> bytes:
        return read_body(self.stream, length)

    def chunk(self) -> bytes:
        """Read one chunk; the last one is empty."""
        return read_chunk(self.stream)

    def chunks(self) -> bytes:
        """Read a whole chunked body."""
        return b"".join(iter(self.chunk, b""))

    def drip(self) -> bytes:
        """Send one byte more, and read what has come."""
        self.send(b"1")
        self.socket.settimeout(0.01)
        with contextlib.suppress(TimeoutError):
            return self.socket.recv(65536)
        return b""

    def rest(self) -> bytes:
        """Read everything up to the end of the connection."""
        return self.stream.read()

    def answer(self, method: str = "GET") -> Answer:
        """Read a whole response to a method."""
        return read_answer(self.stream, method)

    def ended(self) -> bool:
        """Wait for the other end to close or reset the connection."""
        try:
            return self.rest() is not None
        except ConnectionResetError:
            return True

    def half_close(self) -> None:
        """Send nothing more, and go on reading."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.stream.close()
        self.socket.close()

    def reset(self) -> None:
        reset_on_close(self.socket)
        Wire.close(self)  # whatever a subclass says before it closes


@contextlib.contextmanager
def dripping(slow: Iterable[socket.socket], pause: float = 0.1) -> Iterator[None]:
    """Send each a byte now and then while the block runs.

    Args:
        slow: the connections.
        pause: seconds between two bytes.
    """
    enough = threading.Event()

    def drip() -> None:
        while not enough.wait(pause):
            for connection in slow:
                with contextlib.suppress(OSError):
                    connection.send(b"1")

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()
