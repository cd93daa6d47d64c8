"""Idle connections: how long they are kept, and when they are not used again."""

import asyncio
import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest

from proxy.gateway.upstream.connection import State, UpstreamConnection
from proxy.gateway.upstream.dialer import Dialer
from proxy.gateway.upstream.pool import ConnectionPool
from tests.gateway.upstream.origin import (
    OK,
    PATIENCE,
    accepted,
    answers,
    answers_and_closes,
    begin,
    body_of,
    call,
    in_a_thread,
    pool_for,
    run,
    until,
)
from tests.support.certificates import client_context, server_context
from tests.support.wire import reset_on_close


def test_an_idle_connection_is_closed_after_its_time_and_not_before() -> None:
    async def test() -> None:
        async with pool_for(answers(OK), keepalive=2.0) as (pool, server):
            await asyncio.gather(*(body_of(pool) for _ in range(3)))
            began = asyncio.get_running_loop().time()
            await body_of(pool)
            assert server.connections == 3
            await until(lambda: server.open == 0)
            assert asyncio.get_running_loop().time() - began > 1.5
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
        pool = ConnectionPool(Dialer(url, client_context()), keepalive=60, max_connections=1)
        assert await body_of(pool, "POST") == b"ok"
        make_it_act()
        [idle] = pool._idle
        assert select.select([idle._descriptor], [], [], PATIENCE)[0]  # before the loop can see it
        assert await body_of(pool, "POST") == b"ok"
        await pool.aclose()

    with acting_on_its_first(act, server_context() if secure else None) as (url, make_it_act):
        run(test(url, make_it_act))


def after_connecting(wait: Callable[[UpstreamConnection], Awaitable[None]]) -> None:
    """Have the running loop wait each time before a new connection is used."""
    loop = asyncio.get_running_loop()
    connect = loop.create_connection

    async def connects(*arguments: Any, **settings: Any) -> Any:
        transport, connection = await connect(*arguments, **settings)
        await wait(connection)
        return transport, connection

    loop.create_connection = connects  # type: ignore[method-assign]


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

    async def wait(connection: UpstreamConnection) -> None:
        assert acted.wait(PATIENCE)  # the loop waits, too, and reads nothing
        if is_read:
            await until(lambda: connection.state is State.CLOSED)
        elif connection.state is State.IDLE:  # the loop has not read it
            assert select.select([connection._descriptor], [], [], PATIENCE)[0]

    async def test(url: httpx.URL) -> None:
        after_connecting(wait)
        pool = ConnectionPool(Dialer(url), keepalive=60, max_connections=1)
        with pytest.raises(httpx.ConnectError) as caught:
            await call(pool)
        assert isinstance(caught.value.__cause__, ConnectionError)
        await until(lambda: pool._capacity == 1)
        await pool.aclose()

    with in_a_thread(serve) as url:
        run(test(url))
    assert not any(received)


def test_session_tickets_do_not_count_as_sent_before_the_request() -> None:
    tls, shaken = server_context(), threading.Event()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with tls.wrap_socket(connection, server_side=True) as secured:  # which sends the tickets
            shaken.set()
            secured.recv(1)
            secured.sendall(OK)
            secured.recv(1000)

    async def wait(_connection: UpstreamConnection) -> None:
        assert shaken.wait(PATIENCE)

    async def test(url: httpx.URL) -> None:
        after_connecting(wait)
        pool = ConnectionPool(Dialer(url.copy_with(scheme="https"), client_context()), keepalive=60, max_connections=1)
        assert await body_of(pool) == b"ok"
        await pool.aclose()

    with in_a_thread(serve) as url:
        run(test(url))


def test_a_connection_that_is_handed_over_is_looked_at_too() -> None:
    async def test(url: httpx.URL, make_it_act: Callable[[], None]) -> None:
        pool = ConnectionPool(Dialer(url), keepalive=60, max_connections=1)
        held = await begin(pool, "POST")
        waiting = asyncio.create_task(body_of(pool, "POST"))
        await until(lambda: len(pool._waiters) == 1)
        connection = held.stream._connection  # type: ignore[union-attr]
        assert await connection.read() == b"ok"
        make_it_act()
        assert select.select([connection._descriptor], [], [], PATIENCE)[0]
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
