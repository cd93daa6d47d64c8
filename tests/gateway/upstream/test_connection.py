import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
import uvloop

from proxy.gateway.upstream.connection import BUFFER_LIMIT, State
from proxy.gateway.upstream.dialer import Dialer
from proxy.gateway.upstream.pool import ConnectionPool
from proxy.gateway.upstream.response_parser import HEAD_LIMIT
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
            async with asyncio.timeout(PATIENCE):
                assert len(await body_of(pool)) in {size, 2}

    run(test())


def test_the_upload_that_goes_on_after_an_answer_ends_its_connection() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1000
            await asyncio.sleep(0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await reader.read()  # where the answer is slow to arrive, more than a head may be long

    async def test() -> None:
        async with pool_for(serve) as (pool, server):
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
    tls = server_context()
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
        pool = ConnectionPool(Dialer(url, client_context()), keepalive=60, max_connections=1)
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
        async with pool_for(serve, server_context(), client_context()) as (pool, _):
            if politely:
                assert await body_of(pool) == b"ok"
                return
            with pytest.raises(httpx.ReadError):
                await call(pool)

    run(test())
