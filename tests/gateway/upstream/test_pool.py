import asyncio
import contextlib
import gc
import random
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import trustme

from proxy.gateway.upstream.connection import State, UpstreamConnection
from proxy.gateway.upstream.pool import ConnectionPool
from tests.gateway.upstream.origin import (
    CA,
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
    shown,
    trusting,
    until,
)
from tests.support.wire import reset_on_close


async def all_free(pool: ConnectionPool) -> None:
    """Every place of the pool can be had: no answer is read, so that each call needs a connection of its own."""
    size = pool._capacity + len(pool._idle)
    assert size == 20
    responses = [await begin(pool) for _ in range(size)]
    with pytest.raises(httpx.PoolTimeout):
        await begin(pool, connect=0.1)
    for response in responses:
        await response.aclose()


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


def test_a_response_that_was_closed_cannot_be_read() -> None:
    async def test() -> None:
        async with pool_for(answers(OK)) as (pool, _):
            closed = await begin(pool)
            await closed.aclose()
            with pytest.raises(httpx.StreamClosed):
                await anext(aiter(closed.stream))  # type: ignore[arg-type]

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

    async def test(url: httpx.URL) -> None:
        after_connecting(wait)
        pool = ConnectionPool(url, keepalive=60, max_connections=1)
        with pytest.raises(httpx.ConnectError) as caught:
            await call(pool)
        assert isinstance(caught.value.__cause__, ConnectionError)
        await until(lambda: pool._capacity == 1)
        await pool.aclose()

    with in_a_thread(serve) as url:
        run(test(url))
    assert not any(received)


def test_session_tickets_do_not_count_as_sent_before_the_request() -> None:
    tls, shaken = shown(CA, "127.0.0.1"), threading.Event()

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
        pool = ConnectionPool(url.copy_with(scheme="https"), keepalive=60, max_connections=1, tls=trusting(CA))
        assert await body_of(pool) == b"ok"
        await pool.aclose()

    with in_a_thread(serve) as url:
        run(test(url))


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


NOW = datetime.now(UTC)


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
