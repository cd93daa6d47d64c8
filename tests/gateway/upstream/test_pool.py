import asyncio
import contextlib
import gc
import random

import httpx
import pytest

from proxy.gateway.upstream.pool import ConnectionPool
from tests.gateway.upstream.origin import OK, answers, begin, body_of, call, pool_for, run, until


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
            port, pool.dialer.port = pool.dialer.port, 1
            for _ in range(5):
                with pytest.raises(httpx.ConnectError) as caught:
                    await call(pool)
                assert isinstance(caught.value.__cause__, ConnectionRefusedError)
            pool.dialer.port = port
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


def test_a_response_that_was_closed_cannot_be_read() -> None:
    async def test() -> None:
        async with pool_for(answers(OK)) as (pool, _):
            closed = await begin(pool)
            await closed.aclose()
            with pytest.raises(httpx.StreamClosed):
                await anext(aiter(closed.stream))  # type: ignore[arg-type]

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
            port, pool.dialer.port = pool.dialer.port, 1
            with pytest.raises(httpx.ReadError):
                await call(pool)
            assert len(server.requests) == 2
            pool.dialer.port = port
            assert await body_of(pool) == b"ok"

    run(test())
