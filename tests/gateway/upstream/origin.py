"""A service that does with its connections as a test wants, and a pool of connections to it."""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import httpx

from proxy.gateway.upstream.dialer import Dialer
from proxy.gateway.upstream.pool import ConnectionPool

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SIZE = 4 << 20
LARGE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE + bytes(SIZE)
PATIENCE = 20
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """An origin that does with each connection as it is told.

    Attributes:
        connections: how many there have been.
        requests: the first line of each request.
    """

    def __init__(self, serve: Serve) -> None:
        self.connections = 0
        self.open = 0
        self.requests: list[bytes] = []
        self._serve = serve

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await self._serve(Noting(reader, self.requests), writer)  # type: ignore[arg-type]
        self.open -= 1
        writer.close()


class Noting:
    def __init__(self, reader: asyncio.StreamReader, requests: list[bytes]) -> None:
        self._reader = reader
        self._requests = requests

    async def readuntil(self, separator: bytes) -> bytes:
        head = await self._reader.readuntil(separator)
        self._requests.append(head.partition(b"\r\n")[0])
        return head

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)


def answers(*answers: bytes) -> Serve:
    """Answer the requests of a connection in turn, the last answer again and again."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = list(answers)
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(left[0])
            left = left[1:] or left

    return serve


def answers_and_closes(answer: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)

    return serve


@contextlib.contextmanager
def in_a_thread(serve: Callable[[socket.socket], None]) -> Iterator[httpx.URL]:
    """An origin that goes on while the loop, blocked by a test, reads nothing; it is given its listening socket."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        serving = threading.Thread(target=serve, args=(listener,))
        serving.start()
        yield httpx.URL("http://{}:{}".format(*listener.getsockname()))
        serving.join()


def accepted(listener: socket.socket, tls: ssl.SSLContext | None = None) -> socket.socket:
    """The next connection, of which the head of a request is read."""
    connection, _ = listener.accept()
    if tls is not None:
        connection = tls.wrap_socket(connection, server_side=True)
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(1)
    return connection


@contextlib.asynccontextmanager
async def pool_for(
    serve: Serve, tls: ssl.SSLContext | None = None, trust: ssl.SSLContext | None = None, **settings: Any
) -> AsyncIterator[tuple[ConnectionPool, Server]]:
    """A pool, and the origin that it is for."""
    server = Server(serve)
    async with await asyncio.start_server(server, "127.0.0.1", 0, ssl=tls) as listening:
        port = listening.sockets[0].getsockname()[1]
        origin = httpx.URL(f"{'https' if tls else 'http'}://127.0.0.1:{port}")
        given = {"keepalive": 5.0, "max_connections": 10, **settings}
        pool = ConnectionPool(Dialer(origin, trust), **given)
        yield pool, server
        await pool.aclose()
        await until(lambda: server.open == 0)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - the condition is the other end's
            await asyncio.sleep(0.001)


def run(test: Awaitable[None], new_loop: Callable[[], asyncio.AbstractEventLoop] | None = None) -> None:
    async def limited() -> None:
        async with asyncio.timeout(60):
            await test

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(limited())


async def begin(
    pool: ConnectionPool, method: str = "GET", target: bytes = b"/x", connect: float = PATIENCE, **fields: Any
) -> httpx.Response:
    """Send a request and wait for the head of its answer."""
    extensions = {"target": target, "timeout": {"connect": connect}}
    return await pool.handle_async_request(
        httpx.Request(method, "http://origin.example/", extensions=extensions, **fields)
    )


async def call(pool: ConnectionPool, method: str = "GET", target: bytes = b"/x", **fields: Any) -> httpx.Response:
    """Send a request and read its whole answer."""
    response = await begin(pool, method, target, **fields)
    try:
        response.extensions["body"] = b"".join([chunk async for chunk in response.stream])  # type: ignore[union-attr]
    finally:
        await response.aclose()
    return response


async def body_of(pool: ConnectionPool, method: str = "GET", target: bytes = b"/x") -> bytes:
    return bytes((await call(pool, method, target)).extensions["body"])
