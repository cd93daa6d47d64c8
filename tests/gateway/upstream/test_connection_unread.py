"""What a connection to the service holds of an answer that nobody reads."""

import asyncio
import ssl
from collections.abc import Callable

import pytest
import uvloop

from proxy.gateway.upstream.connection import BUFFER_LIMIT, READ_SIZE
from tests.gateway.upstream.origin import LARGE, SIZE, answers, begin, body_of, pool_for, run, until
from tests.support.certificates import client_context, server_context

LOOPS = pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
Contexts = tuple[ssl.SSLContext | None, ssl.SSLContext | None]


@pytest.fixture(params=["plain", "TLS"])
def contexts(request: pytest.FixtureRequest) -> Contexts:
    return (server_context(), client_context()) if request.param == "TLS" else (None, None)


@LOOPS
def test_an_answer_that_nobody_reads_is_held_up_to_a_limit(
    new_loop: Callable[[], asyncio.AbstractEventLoop], contexts: Contexts
) -> None:
    async def test() -> None:
        async with pool_for(answers(LARGE), *contexts) as (pool, _):
            unread = await begin(pool)
            connection = unread.stream._connection  # type: ignore[union-attr]
            await until(lambda: not connection._transport.is_reading())
            assert BUFFER_LIMIT <= connection.response.buffered < BUFFER_LIMIT + READ_SIZE
            await unread.aclose()

    run(test(), new_loop)


@LOOPS
def test_a_connection_that_was_paused_carries_the_next_request(
    new_loop: Callable[[], asyncio.AbstractEventLoop], contexts: Contexts
) -> None:
    async def test() -> None:
        async with pool_for(answers(LARGE), *contexts, max_connections=1) as (pool, server):
            assert [len(await body_of(pool)) for _ in range(3)] == [SIZE] * 3
            assert server.connections == 1

    run(test(), new_loop)


@LOOPS
def test_a_connection_on_which_reading_is_paused_carries_no_further_request(
    new_loop: Callable[[], asyncio.AbstractEventLoop], contexts: Contexts
) -> None:
    content = bytes(BUFFER_LIMIT)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BUFFER_LIMIT + content

    async def test() -> None:
        async with pool_for(answers(answer), *contexts) as (pool, server):
            response = await begin(pool)
            connection = response.stream._connection  # type: ignore[union-attr]
            await until(lambda: connection.response.is_complete)
            assert not connection._transport.is_reading()
            assert await anext(aiter(response.stream)) == content  # type: ignore[arg-type]
            await response.aclose()

            assert await body_of(pool) == content
            assert server.connections == 2

    run(test(), new_loop)
