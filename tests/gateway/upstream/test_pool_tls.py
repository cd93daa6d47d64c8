"""Connections over TLS."""

import asyncio
import socket
import ssl
from collections.abc import Callable

import httpx
import pytest
import trustme
import uvloop

from proxy.gateway.upstream.connection import is_refused_certificate
from proxy.gateway.upstream.dialer import Dialer
from proxy.gateway.upstream.pool import ConnectionPool
from tests.gateway.upstream.origin import OK, answers, body_of, call, in_a_thread, pool_for, run, until
from tests.support.certificates import DAY, NOW, asks_for_a_certificate, client_context, server_context
from tests.support.upstream import secured


def test_a_certificate_of_a_known_authority_is_trusted_and_its_connection_used_again() -> None:
    async def test() -> None:
        async with pool_for(answers(OK), server_context(), client_context()) as (pool, server):
            assert [await body_of(pool), await body_of(pool)] == [b"ok", b"ok"]
            assert server.connections == 1

    run(test())


@pytest.mark.parametrize(
    "tls",
    [
        server_context(host="other.example"),
        server_context(begins=NOW - 9 * DAY, ends=NOW - DAY),
        server_context(trustme.CA()),
    ],
    ids=["another host", "expired", "another authority"],
)
def test_a_certificate_that_is_not_to_be_trusted_is_no_connection(tls: ssl.SSLContext) -> None:
    async def test() -> None:
        async with pool_for(answers(OK), tls, client_context(), max_connections=2) as (pool, server):
            for _ in range(3):
                with pytest.raises(httpx.ConnectError) as caught:
                    await call(pool)
                assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
            assert (server.requests, pool._capacity) == ([], 2)

    run(test())


def test_the_authorities_are_the_systems_where_no_others_are_named() -> None:
    async def test() -> None:
        async with pool_for(answers(OK), server_context()) as (pool, server):
            with pytest.raises(httpx.ConnectError):
                await call(pool)
            assert server.requests == []

    run(test())


async def said_by_plain_tcp(say: bytes) -> BaseException | None:
    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(say)

    async with pool_for(serve) as (pool, _):
        pool.dialer.tls = client_context()
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
            pool.dialer.tls = client_context()
            with pytest.raises(httpx.ConnectTimeout):
                await call(pool, connect=0.1)
            await until(lambda: pool._capacity == 10)

    run(test())


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_service_that_does_not_accept_the_certificate_was_sent_nothing(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    def serve(listener: socket.socket) -> None:
        for _ in range(2):
            with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
                secured(listener.accept()[0], asks_for_a_certificate())

    async def test(url: httpx.URL) -> None:
        pool = ConnectionPool(Dialer(url.copy_with(scheme="https"), client_context()), keepalive=5, max_connections=2)
        for method in ("GET", "POST"):
            with pytest.raises(httpx.ConnectError) as caught:
                await call(pool, method)
            assert is_refused_certificate(caught.value.__cause__)
        await until(lambda: pool._capacity == 2)

    with in_a_thread(serve) as url:
        run(test(url), new_loop)
