import asyncio
import contextlib
import gc
import random
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import trustme
import uvloop

from proxy.gateway.upstream.connection import BUFFER_LIMIT, State
from proxy.gateway.upstream.pool import ConnectionPool
from proxy.gateway.upstream.response_parser import HEAD_LIMIT
from tests.harness import reset_on_close

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
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
        pool = ConnectionPool(origin, tls=trust, **given)
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


async def all_free(pool: ConnectionPool) -> None:
    """Every place of the pool can be had: no answer is read, so that each call needs a connection of its own."""
    size = pool._capacity + len(pool._idle)
    assert size == 20
    responses = [await begin(pool) for _ in range(size)]
    with pytest.raises(httpx.PoolTimeout):
        await begin(pool, connect=0.1)
    for response in responses:
        await response.aclose()


# --- the pool


def test_a_connection_is_used_again_and_the_newest_first() -> None:
    async def test() -> None:
        async with pool_for(answers(OK)) as (pool, server):
            for _ in range(5):
                assert await body_of(pool) == b"ok"
            assert server.connections == 1

    run(test())


def test_no_more_connections_are_made_than_allowed_and_every_call_is_answered() -> None:
    async def test() -> None:
        async with pool_for(answers(OK), max_connections=20) as (pool, server):
            assert await asyncio.gather(*(body_of(pool) for _ in range(600))) == [b"ok"] * 600
            assert server.connections == 20

    run(test())


def test_those_who_wait_are_served_in_their_order() -> None:
    async def test() -> None:
        async with pool_for(answers(OK), max_connections=1) as (pool, server):
            await asyncio.gather(*(body_of(pool, target=b"/%d" % n) for n in range(50)))
            assert server.requests == [b"GET /%d HTTP/1.1" % n for n in range(50)]

    run(test())


def test_who_waits_too_long_for_a_connection_is_told_and_the_others_are_not_affected() -> None:
    async def test() -> None:
        async with pool_for(answers(OK), max_connections=1) as (pool, _):
            held = await begin(pool)
            with pytest.raises(httpx.PoolTimeout):
                await call(pool, connect=0.1)
            await held.aclose()
            assert await body_of(pool) == b"ok"

    run(test())


# asyncio itself leaves the socket of a connect that is cancelled as it succeeds to the garbage collector.
leaves_sockets = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@leaves_sockets
@pytest.mark.parametrize("seed", range(4))
def test_calls_that_are_cancelled_anywhere_leave_every_place_free(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    calm = False

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(chance.random() / 200)
            closing = chance.random() < 0.1 and not calm
            writer.write(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") if closing else OK)
            if closing:
                return

    async def impatient(pool: ConnectionPool) -> None:
        with contextlib.suppress(TimeoutError, httpx.TransportError):
            async with asyncio.timeout(chance.choice([0, 0.0005, 0.002, 0.01, 0.1, 20])):
                await call(pool, connect=0.5)

    async def test() -> None:
        nonlocal calm
        async with pool_for(slow, max_connections=20) as (pool, server):
            await asyncio.gather(*(impatient(pool) for _ in range(600)))
            calm = True
            await until(lambda: pool._capacity + len(pool._idle) >= 20)
            await all_free(pool)
            assert server.requests
            await until(lambda: gc.collect() >= 0 and server.open <= len(pool._idle))

    run(test())


@leaves_sockets
@pytest.mark.parametrize("steps", range(16))
def test_a_connect_that_is_cancelled_at_any_step_gives_its_place_back_once(steps: int) -> None:
    async def test() -> None:
        async with pool_for(answers(OK), max_connections=1) as (pool, server):
            calling = asyncio.create_task(call(pool))
            for _ in range(steps):
                await asyncio.sleep(0)
            calling.cancel()
            await asyncio.wait([calling])
            del calling
            await until(lambda: pool._capacity + len(pool._idle) >= 1)
            await until(lambda: gc.collect() >= 0 and server.open <= len(pool._idle))
            assert pool._capacity + len(pool._idle) == 1
            assert await body_of(pool) == b"ok"

    run(test())


def test_refused_connections_give_their_places_back() -> None:
    async def test() -> None:
        async with pool_for(answers(OK), max_connections=2) as (pool, _):
            port, pool._port = pool._port, 1
            for _ in range(5):
                with pytest.raises(httpx.ConnectError) as caught:
                    await call(pool)
                assert isinstance(caught.value.__cause__, ConnectionRefusedError)
            pool._port = port
            assert await body_of(pool) == b"ok"

    run(test())


def test_a_waiter_whose_connection_dies_in_the_handing_over_makes_its_own() -> None:
    async def test() -> None:
        async with pool_for(answers(OK), max_connections=1) as (pool, server):
            held = await begin(pool)
            connection = held.stream._connection  # type: ignore[union-attr]
            waiting = asyncio.create_task(body_of(pool, "POST"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await connection.read()
            await held.aclose()
            connection._transport.abort()
            connection.connection_lost(None)  # before the waiter's turn comes
            connection._lost = lambda _: None  # and not once more by the loop
            assert await waiting == b"ok"
            assert server.connections == 2

    run(test())


def test_a_connection_given_to_a_waiter_that_has_just_given_up_goes_to_the_next() -> None:
    async def test() -> None:
        async with pool_for(answers(OK), max_connections=1) as (pool, server):
            held = await begin(pool)
            first, second = (asyncio.create_task(body_of(pool)) for _ in range(2))
            await until(lambda: len(pool._waiters) == 2)
            await held.stream._connection.read()  # type: ignore[union-attr]
            await held.aclose()
            first.cancel()
            assert await second == b"ok"
            assert (first.cancelled(), server.connections) == (True, 1)

    run(test())


def test_an_idle_connection_is_closed_after_its_time_and_not_before() -> None:
    async def test() -> None:
        async with pool_for(answers(OK), keepalive=1.0) as (pool, server):
            await asyncio.gather(*(body_of(pool) for _ in range(3)))
            await body_of(pool)
            assert server.connections == 3
            began = asyncio.get_running_loop().time()
            await until(lambda: server.open == 0)
            assert asyncio.get_running_loop().time() - began > 0.5
            assert await body_of(pool) == b"ok"
            assert server.connections == 4

    run(test())


def test_a_connection_is_not_kept_beyond_its_lifetime_and_who_waits_makes_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("proxy.gateway.upstream.pool.LIFETIME", 0)

    async def test() -> None:
        async with pool_for(answers(OK), max_connections=1) as (pool, server):
            assert await asyncio.gather(*(body_of(pool) for _ in range(5))) == [b"ok"] * 5
            assert server.connections == 5

    run(test())


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_idle_connection_that_the_origin_closed_is_not_used(method: str) -> None:
    async def test() -> None:
        async with pool_for(answers_and_closes(OK)) as (pool, server):
            for count in range(1, 4):
                assert await body_of(pool, method) == b"ok"
                await until(lambda: server.open == 0)
                await until(lambda: not pool._idle)
                assert len(server.requests) == count

    run(test())


@pytest.mark.parametrize(
    "first",
    [
        OK + b"x",
        OK + OK,
        OK + b"H",
        OK + b"HTTP/1.1 204 X\r\n\r\n",
        b"HTTP/1.1 204 X\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nx",
    ],
)
def test_a_connection_on_which_more_came_than_an_answer_is_not_used_again(first: bytes) -> None:
    async def test() -> None:
        async with pool_for(answers(first, OK.replace(b"ok", b"no"))) as (pool, server):
            for count in range(1, 4):
                assert await body_of(pool, "POST") in {b"ok", b""}
                assert server.connections == count

    run(test())


def test_bytes_that_come_on_an_idle_connection_end_it() -> None:
    more = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await more.wait()
        writer.write(OK.replace(b"ok", b"no"))
        await reader.read()

    async def test() -> None:
        async with pool_for(serve, keepalive=60) as (pool, server):
            assert await body_of(pool) == b"ok"
            more.set()
            await until(lambda: server.open == 0)
            assert not pool._idle
            assert await body_of(pool) == b"ok"
            assert server.connections == 2

    run(test())


def says_more(connection: socket.socket) -> None:
    connection.sendall(OK.replace(b"ok", b"no"))


def ends(connection: socket.socket) -> None:
    connection.close()


def breaks(connection: socket.socket) -> None:
    reset_on_close(connection)
    connection.close()


@contextlib.contextmanager
def acting_on_its_first(
    act: Callable[[socket.socket], None], tls: ssl.SSLContext | None = None
) -> Iterator[tuple[httpx.URL, Callable[[], None]]]:
    """An origin that answers one request on each of two connections; the call makes it act on the first, now idle."""
    idle, acted = threading.Event(), threading.Event()

    def serve(listener: socket.socket) -> None:
        with accepted(listener, tls) as first:
            first.sendall(OK)
            assert idle.wait(PATIENCE)
            act(first)
            acted.set()
            with accepted(listener, tls) as second:
                second.sendall(OK)

    def make_it_act() -> None:
        idle.set()
        assert acted.wait(PATIENCE)  # the loop waits, too, and does not see it

    with in_a_thread(serve) as url:
        yield url, make_it_act


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("act", [says_more, ends, breaks])
def test_an_idle_connection_on_which_something_waits_unread_is_not_used(
    act: Callable[[socket.socket], None], secure: bool
) -> None:
    async def test(url: httpx.URL, make_it_act: Callable[[], None]) -> None:
        url = url.copy_with(scheme="https" if secure else "http")
        pool = ConnectionPool(url, keepalive=60, max_connections=1, tls=trusting(CA))
        assert await body_of(pool, "POST") == b"ok"
        make_it_act()
        assert await body_of(pool, "POST") == b"ok"
        await pool.aclose()

    with acting_on_its_first(act, shown(CA, "127.0.0.1") if secure else None) as (url, make_it_act):
        run(test(url, make_it_act))


@pytest.mark.parametrize("is_read", [False, True], ids=["unread", "read"])
@pytest.mark.parametrize("act", [says_more, ends, breaks])
def test_nothing_is_sent_to_a_service_that_does_not_wait_for_the_request(
    act: Callable[[socket.socket], None], is_read: bool
) -> None:
    acted = threading.Event()
    received: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            act(connection)
            acted.set()
            received.append(connection.recv(1))

    async def test(url: httpx.URL) -> None:
        loop = asyncio.get_running_loop()
        connect = loop.create_connection

        async def connects(*arguments: Any, **settings: Any) -> Any:
            transport, connection = await connect(*arguments, **settings)
            assert acted.wait(PATIENCE)  # the loop waits, too, and reads nothing
            if is_read:
                await until(lambda: connection.state is State.CLOSED)
            return transport, connection

        loop.create_connection = connects  # type: ignore[method-assign]
        pool = ConnectionPool(url, keepalive=60, max_connections=1)
        with pytest.raises(httpx.ConnectError) as caught:
            await call(pool)
        assert isinstance(caught.value.__cause__, ConnectionError)
        await until(lambda: pool._capacity == 1)
        await pool.aclose()

    with in_a_thread(serve) as url:
        run(test(url))
    assert not any(received)


def test_a_connection_that_is_handed_over_is_looked_at_too() -> None:
    async def test(url: httpx.URL, make_it_act: Callable[[], None]) -> None:
        pool = ConnectionPool(url, keepalive=60, max_connections=1)
        held = await begin(pool, "POST")
        waiting = asyncio.create_task(body_of(pool, "POST"))
        await until(lambda: len(pool._waiters) == 1)
        assert await held.stream._connection.read() == b"ok"  # type: ignore[union-attr]
        make_it_act()
        await held.aclose()
        assert await waiting == b"ok"
        await pool.aclose()

    with acting_on_its_first(says_more) as (url, make_it_act):
        run(test(url, make_it_act))


@pytest.mark.parametrize(
    ("announced", "connections"),
    [(b"timeout=1", 2), (b"timeout=0", 2), (b"max=9, Timeout = 1", 2), (b"timeout=600", 1), (b"max=9", 1)],
)
def test_an_idle_connection_is_used_no_longer_than_the_origin_says(announced: bytes, connections: int) -> None:
    answer = OK.replace(b"\r\n\r\n", b"\r\nKeep-Alive: %b\r\n\r\n" % announced)

    async def test() -> None:
        async with pool_for(answers(answer), keepalive=60) as (pool, server):
            assert [await body_of(pool), await body_of(pool)] == [b"ok", b"ok"]
            assert server.connections == connections

    run(test())


def test_a_connection_lies_idle_from_the_end_of_its_answer_however_late_that_is_read() -> None:
    async def test() -> None:
        async with pool_for(answers(OK), keepalive=0.05) as (pool, server):
            unread = await begin(pool)
            late = asyncio.get_running_loop().time() + 0.1
            await until(lambda: asyncio.get_running_loop().time() > late)
            assert await unread.stream._connection.read() == b"ok"  # type: ignore[union-attr]
            await unread.aclose()
            assert await body_of(pool) == b"ok"
            assert server.connections == 2

    run(test())


def test_a_connection_says_what_it_is_doing() -> None:
    async def test() -> None:
        async with pool_for(answers(OK)) as (pool, _):
            held = await begin(pool)
            connection = held.stream._connection  # type: ignore[union-attr]
            await until(lambda: "IDLE, 1 requests" in repr(connection))
            await held.aclose()
            await pool.aclose()
            assert repr(connection) == "<UpstreamConnection CLOSED, 1 requests>"

    run(test())


def test_an_answer_that_nobody_read_does_not_leave_a_deaf_connection() -> None:
    size = BUFFER_LIMIT + 1000
    large = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size)

    async def test() -> None:
        async with pool_for(answers(large, OK), max_connections=1) as (pool, _):
            unread = await begin(pool)
            await until(lambda: unread.stream._connection.state is State.IDLE)  # type: ignore[union-attr]
            await unread.aclose()
            async with asyncio.timeout(5):
                assert len(await body_of(pool)) in {size, 2}

    run(test())


def test_the_upload_that_goes_on_after_an_answer_ends_its_connection() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1000
            await asyncio.sleep(0)

    async def test() -> None:
        async with pool_for(answers(OK)) as (pool, server):
            response = await call(pool, "PUT", content=endless())
            assert response.extensions["body"] == b"ok"
            await until(lambda: server.open == 0)
            assert pool._capacity == 10

    run(test())


REFUSED = b"HTTP/1.1 413 X\r\nContent-Length: 2\r\n\r\nno"


@pytest.mark.parametrize(
    ("new_loop", "secure"),
    [(asyncio.new_event_loop, False), (uvloop.new_event_loop, False), (uvloop.new_event_loop, True)],
    ids=["asyncio", "uvloop", "uvloop, TLS"],
)
def test_an_answer_that_refuses_an_upload_is_read_though_writing_on_fails(
    new_loop: Callable[[], asyncio.AbstractEventLoop], secure: bool
) -> None:
    tls = shown(CA, "127.0.0.1")
    tls.num_tickets = 0  # one would hold the answer up, by Nagle's algorithm
    gone = threading.Event()

    def serve(listener: socket.socket) -> None:
        with accepted(listener, tls if secure else None) as connection:
            connection.recv(1)
            connection.sendall(REFUSED)
            reset_on_close(connection)
        gone.set()

    async def upload() -> AsyncIterator[bytes]:
        yield b"x"
        assert gone.wait(PATIENCE)  # the loop waits, too, and does not see that the answer has come
        while True:
            yield b"x" * 1000
            await asyncio.sleep(0)

    async def test(url: httpx.URL) -> None:
        url = url.copy_with(scheme="https" if secure else "http")
        pool = ConnectionPool(url, keepalive=60, max_connections=1, tls=trusting(CA))
        response = await call(pool, "PUT", content=upload())
        assert (response.status_code, response.extensions["body"]) == (413, b"no")
        await until(lambda: pool._capacity == 1)

    with in_a_thread(serve) as url:
        run(test(url), new_loop)


def test_an_answer_that_refuses_an_upload_ends_it() -> None:
    ended = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1000
            await asyncio.sleep(0)

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(REFUSED[:-1])
        await ended.wait()
        writer.write(REFUSED[-1:])
        await reader.read()

    async def test() -> None:
        async with pool_for(refuse) as (pool, _):
            response = await pool.handle_async_request(httpx.Request("PUT", "http://o.example/", content=endless()))
            upload = response.stream._connection._upload  # type: ignore[union-attr]
            await until(upload.done)
            ended.set()
            assert b"".join([chunk async for chunk in response.stream]) == b"no"  # type: ignore[union-attr]
            await response.aclose()
            await until(lambda: pool._capacity == 10)

    run(test())


def test_an_upload_goes_on_while_it_is_answered() -> None:
    answered = asyncio.Event()

    async def upload() -> AsyncIterator[bytes]:
        yield b"x"
        await answered.wait()
        yield b"y"

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK[:-2])
        while True:
            await reader.readexactly(len(b"1\r\n"))
            writer.write(await reader.readexactly(1))
            await reader.readexactly(len(b"\r\n"))

    async def test() -> None:
        async with pool_for(echo) as (pool, _):
            response = await pool.handle_async_request(
                httpx.Request(
                    "PUT", "http://o.example/", headers=[(b"transfer-encoding", b"chunked")], content=upload()
                )
            )
            answered.set()
            assert b"".join([chunk async for chunk in response.stream]) == b"xy"  # type: ignore[union-attr]
            await response.aclose()

    run(test())


def test_a_request_that_is_sent_again_does_not_go_to_another_connection_that_lay_idle() -> None:
    restarted = False

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        old = not restarted
        while True:
            await reader.readuntil(b"\r\n\r\n")
            if old and restarted:
                return
            writer.write(OK)

    async def test() -> None:
        nonlocal restarted
        async with pool_for(serve) as (pool, server):
            await asyncio.gather(*(body_of(pool) for _ in range(5)))
            restarted = True
            assert await body_of(pool) == b"ok"
            assert len(server.requests) == 7
            assert server.connections == 6

    run(test())


def test_a_request_that_was_sent_and_cannot_be_sent_again_counts_as_sent() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await reader.readuntil(b"\r\n\r\n")

    async def test() -> None:
        async with pool_for(serve) as (pool, server):
            await body_of(pool)
            port, pool._port = pool._port, 1
            with pytest.raises(httpx.ReadError):
                await call(pool)
            assert len(server.requests) == 2
            pool._port = port
            assert await body_of(pool) == b"ok"

    run(test())


# --- the request


def test_a_request_is_written_as_it_is_and_nothing_is_added() -> None:
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK)

    async def test() -> None:
        async with pool_for(serve) as (pool, _):
            request = httpx.Request(
                "PURGE",
                "http://ignored.example/",
                headers=[(b"X-Odd", b"caf\xe9"), (b"x-odd", b""), (b"Host", b"h")],
                stream=httpx.ByteStream(b""),
                extensions={"target": b"/a%2Fb?c=%zz"},
            )
            await (await pool.handle_async_request(request)).aclose()

    run(test())
    assert seen == [b"PURGE /a%2Fb?c=%zz HTTP/1.1\r\nX-Odd: caf\xe9\r\nx-odd: \r\nHost: h\r\n\r\n"]


@pytest.mark.parametrize(
    ("target", "header"),
    [
        (b"/a b", b"x"),
        (b"/a\r\nX: y", b"x"),
        (b"/a\n", b"x"),
        (b"/a\x00", b"x"),
        (b"/a\x7f", b"x"),
        (b"/a\tb", b"x"),
        (b"/", b"a\r\nX-Evil: 1"),
        (b"/", b"a\nb"),
        (b"/", b"a\rb"),
        (b"/", b"a\x00b"),
        (b"/", b"a\r\n\r\nGET / HTTP/1.1\r\n"),
    ],
)
def test_a_control_character_in_the_head_is_refused_before_anything_is_sent(target: bytes, header: bytes) -> None:
    async def test() -> None:
        async with pool_for(answers(OK)) as (pool, server):
            with pytest.raises(httpx.LocalProtocolError) as caught:
                await call(pool, target=target, headers=[(b"x-a", header)])
            assert "Evil" not in str(caught.value)
            assert server.connections == 0

    run(test())


# --- the answer


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok",
        b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * HEAD_LIMIT + b"\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\n" + b"X: xxxxxxxxxx\r\n" * 5000 + b"Content-Length: 2\r\n\r\nok",
        b"HTTP/1.1 102 X\r\n\r\n" * 20_000,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * (1 << 20),
        b"GET / HTTP/1.1\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"ICE/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 000 X\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 103 X\r\nContent-Length: 2\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"0" * 5000 + b"2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\nok",
    ],
    ids=lambda answer: repr(answer[:50]),
)
def test_what_is_no_answer_is_an_error_and_its_connection_is_not_used_again(answer: bytes) -> None:
    async def test() -> None:
        async with pool_for(answers(answer)) as (pool, server):
            for count in (1, 2):
                with pytest.raises(httpx.RemoteProtocolError):
                    await call(pool)
                assert server.connections == count

    run(test())


@pytest.mark.parametrize("coding", [b"chunked", b"Chunked", b"CHUNKED "])
def test_the_name_of_a_coding_has_no_case(coding: bytes) -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: %b\r\n\r\n2\r\nok\r\n0\r\n\r\n" % coding

    async def test() -> None:
        async with pool_for(answers(answer)) as (pool, server):
            assert [await body_of(pool), await body_of(pool)] == [b"ok", b"ok"]
            assert server.connections == 1

    run(test())


def test_a_head_just_within_the_limit_is_read() -> None:
    value = b"x" * (HEAD_LIMIT - 100)

    async def test() -> None:
        async with pool_for(answers(OK.replace(b"\r\n\r\n", b"\r\nX: " + value + b"\r\n\r\n"))) as (pool, _):
            response = await call(pool)
            assert dict(response.headers.raw)[b"X"] == value

    run(test())


def test_endless_interim_answers_are_not_read_for_ever() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        while True:
            writer.write(b"HTTP/1.1 102 Processing\r\n\r\n")
            await writer.drain()

    async def test() -> None:
        async with pool_for(serve) as (pool, _):
            with pytest.raises(httpx.RemoteProtocolError):
                await call(pool)

    run(test())


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (CHUNKED + b"2\r\nok\r\n0\r\nX: ", b"x"),
        (CHUNKED + b"2\r\nok\r\n0\r\n", b"X: x\r\n"),
        (CHUNKED + b"2\r\nok\r\n0;", b"x"),
        (CHUNKED + b"2\r\nok\r\n2;", b"x"),
        (CHUNKED + b"2\r\nok\r\n", b"0"),
        (CHUNKED, b"0"),
    ],
    ids=["a trailer", "trailers", "the last chunk's extension", "an extension", "a size", "the first size"],
)
def test_what_comes_outside_the_body_is_not_read_for_ever(begin: bytes, more: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(begin)
        while True:
            writer.write(more * 1000)
            await writer.drain()

    async def test() -> None:
        async with pool_for(serve) as (pool, _):
            with pytest.raises(httpx.RemoteProtocolError):
                await call(pool)
            await until(lambda: pool._capacity == 10)

    run(test())


def test_a_body_of_small_chunks_may_have_any_length() -> None:
    answer = CHUNKED + b"1;a=b\r\nx\r\n" * HEAD_LIMIT + b"0\r\n\r\n"

    async def test() -> None:
        async with pool_for(answers(answer)) as (pool, server):
            assert [len(await body_of(pool)) for _ in range(2)] == [HEAD_LIMIT, HEAD_LIMIT]
            assert server.connections == 1

    run(test())


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"",
    ],
)
def test_an_answer_that_is_cut_off_is_an_error(answer: bytes) -> None:
    async def test() -> None:
        async with pool_for(answers_and_closes(answer)) as (pool, _):
            with pytest.raises(httpx.ReadError):
                await call(pool, "POST")
            await until(lambda: pool._capacity == 10)

    run(test())


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_an_answer_may_end_with_its_connection(version: bytes) -> None:
    async def test() -> None:
        async with pool_for(answers_and_closes(b"HTTP/%b 200 OK\r\n\r\nok" % version)) as (pool, _):
            assert await body_of(pool) == b"ok"

    run(test())


def test_an_answer_to_head_has_no_body_whatever_its_length_says() -> None:
    async def test() -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
        async with pool_for(answers(head, head, OK)) as (pool, server):
            assert [await body_of(pool, method) for method in ("HEAD", "HEAD", "GET")] == [b"", b"", b"ok"]
            assert server.connections == 1

    run(test())


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("head", "body", "connections"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2", b"ok", 1),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close", b"ok", 2),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", b"2\r\nok\r\n0\r\nX: x\r\n\r\n", 1),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close", b"2\r\nok\r\n0\r\n\r\n", 2),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2", b"ok", 2),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive", b"ok", 1),
        (b"HTTP/1.1 204 X", b"", 1),
        (b"HTTP/1.1 204 X\r\nContent-Length: 2", b"", 1),
        (b"HTTP/1.1 204 X\r\nTransfer-Encoding: chunked", b"", 1),
        (b"HTTP/1.1 204 X\r\nContent-Length: 2", b"ok", 2),
        (b"HTTP/1.1 205 X\r\nContent-Length: 0", b"", 1),
        (b"HTTP/1.1 304 X\r\nContent-Length: 2", b"", 1),
        (b"HTTP/1.1 304 X\r\nContent-Length: 2", b"ok", 2),
        (b"HTTP/1.1 304 X\r\nConnection: close", b"", 2),
    ],
)
def test_a_connection_is_kept_where_it_is_known_how_its_answer_ended(
    head: bytes, body: bytes, connections: int, method: str
) -> None:
    answer = head + b"\r\n\r\n" + (b"" if method == "HEAD" and b"200" in head else body)

    async def test() -> None:
        async with pool_for(answers(answer)) as (pool, server):
            assert [await body_of(pool, method), await body_of(pool, method)] in ([b"ok"] * 2, [b""] * 2)
            assert server.connections == connections

    run(test())


def test_a_failing_upload_is_the_error_and_not_the_end_of_an_answer() -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"x"
        raise RuntimeError("the caller is gone")

    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def test() -> None:
        async with pool_for(silent) as (pool, _):
            with pytest.raises(RuntimeError):
                await call(pool, "PUT", content=failing())
            await until(lambda: pool._capacity == 10)

    run(test())


# --- TLS

CA = trustme.CA()
NOW = datetime.now(UTC)


def shown(ca: trustme.CA, *names: str, **dates: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*names, **dates).configure_cert(context)
    return context


def trusting(ca: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    ca.configure_trust(context)
    return context


def test_a_certificate_of_a_known_authority_is_trusted_and_its_connection_used_again() -> None:
    async def test() -> None:
        async with pool_for(answers(OK), shown(CA, "127.0.0.1"), trusting(CA)) as (pool, server):
            assert [await body_of(pool), await body_of(pool)] == [b"ok", b"ok"]
            assert server.connections == 1

    run(test())


@pytest.mark.parametrize(
    "tls",
    [
        shown(CA, "other.example"),
        shown(CA, "127.0.0.1", not_before=NOW - timedelta(days=9), not_after=NOW - timedelta(days=1)),
        shown(trustme.CA(), "127.0.0.1"),
    ],
    ids=["another host", "expired", "another authority"],
)
def test_a_certificate_that_is_not_to_be_trusted_is_no_connection(tls: ssl.SSLContext) -> None:
    async def test() -> None:
        async with pool_for(answers(OK), tls, trusting(CA), max_connections=2) as (pool, server):
            for _ in range(3):
                with pytest.raises(httpx.ConnectError) as caught:
                    await call(pool)
                assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
            assert (server.requests, pool._capacity) == ([], 2)

    run(test())


def test_the_authorities_are_the_systems_where_no_others_are_named() -> None:
    async def test() -> None:
        async with pool_for(answers(OK), shown(CA, "127.0.0.1")) as (pool, server):
            with pytest.raises(httpx.ConnectError):
                await call(pool)
            assert server.requests == []

    run(test())


async def said_by_plain_tcp(say: bytes) -> BaseException | None:
    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(say)

    async with pool_for(serve) as (pool, _):
        pool._tls = trusting(CA)
        with pytest.raises(httpx.ConnectError) as caught:
            await call(pool)
        await until(lambda: pool._capacity == 10)
        return caught.value.__cause__


@pytest.mark.parametrize(("say", "kind"), [(b"HTTP/1.1 400 X\r\n\r\n", ssl.SSLError), (b"", ConnectionError)])
def test_what_does_not_speak_tls_is_no_connection(say: bytes, kind: type[Exception]) -> None:
    assert isinstance(asyncio.run(said_by_plain_tcp(say)), kind)


def test_a_handshake_that_does_not_end_is_given_up_in_time() -> None:
    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def test() -> None:
        async with pool_for(silent) as (pool, _):
            pool._tls = trusting(CA)
            with pytest.raises(httpx.ConnectTimeout):
                await call(pool, connect=0.1)
            await until(lambda: pool._capacity == 10)

    run(test())


@pytest.mark.parametrize("politely", [True, False])
def test_an_answer_that_ends_with_its_connection_is_whole_only_where_tls_was_closed(politely: bool) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nok")
        await writer.drain()
        if not politely:
            # The end of the connection below TLS, without the word that TLS has for it.
            writer.get_extra_info("socket")._sock.shutdown(1)
            await reader.read()

    async def test() -> None:
        async with pool_for(serve, shown(CA, "127.0.0.1"), trusting(CA)) as (pool, _):
            if politely:
                assert await body_of(pool) == b"ok"
                return
            with pytest.raises(httpx.ReadError):
                await call(pool)

    run(test())
