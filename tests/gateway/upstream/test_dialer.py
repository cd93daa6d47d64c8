"""Connections through an egress proxy that does as a test wants; tests/system/test_way_out.py has real ones."""

import asyncio
import contextlib
import gc
import ssl
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
import uvloop

from proxy.gateway.upstream import dialer
from proxy.gateway.upstream.dialer import Dialer
from proxy.gateway.upstream.egress import EgressError, EgressProxy
from proxy.gateway.upstream.pool import ConnectionPool
from tests.gateway.upstream.origin import OK, PATIENCE, Serve, Server, answers, begin, body_of, call, run, until
from tests.support.certificates import client_context, server_context
from tests.support.sockets import free_port

OPEN = b"HTTP/1.1 200 Connection established\r\nVia: 1.1 egress\r\n\r\n"


@contextlib.asynccontextmanager
async def listening(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[Server, int]]:
    server = Server(serve)
    async with await asyncio.start_server(server, "127.0.0.1", 0, ssl=tls) as listener:
        yield server, listener.sockets[0].getsockname()[1]
        await until(lambda: server.open == 0)


@contextlib.asynccontextmanager
async def behind(
    serve: Serve, origin: str = "http://origin.example:8080", port: int | None = None
) -> AsyncIterator[tuple[ConnectionPool, Server]]:
    """A pool of two connections to an origin behind an egress proxy, and that, at a port that may be wrong."""
    async with listening(serve) as (server, real):
        way = Dialer(httpx.URL(origin), client_context(), EgressProxy("127.0.0.1", port or real))
        pool = ConnectionPool(way, keepalive=5, max_connections=2)
        yield pool, server
        await pool.aclose()


async def drip(writer: asyncio.StreamWriter) -> None:
    """Open a tunnel byte by byte, so that the answer comes in several pieces."""
    for at in range(len(OPEN)):
        writer.write(OPEN[at : at + 1])
        await asyncio.sleep(0)


def tunnel(port: int) -> Serve:
    """Open a tunnel to a port, whatever was asked for."""

    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(1 << 16):
                target.write(data)
        target.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await drip(writer)
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    return serve


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("secure", [False, True])
def test_a_tunnel_carries_one_request_after_the_other(
    new_loop: Callable[[], asyncio.AbstractEventLoop], secure: bool
) -> None:
    async def test() -> None:
        async with listening(answers(OK), server_context() if secure else None) as (origin, port):
            url = f"http{'s' if secure else ''}://127.0.0.1:{port}"
            async with behind(tunnel(port), url) as (pool, egress):
                assert [await body_of(pool), await body_of(pool)] == [b"ok", b"ok"]
                assert egress.requests == [b"CONNECT 127.0.0.1:%d HTTP/1.1" % port]
                assert origin.requests == [b"GET /x HTTP/1.1"] * 2

    run(test(), new_loop)


def test_the_certificate_is_that_of_the_service_not_of_the_egress_proxy() -> None:
    async def test() -> None:
        async with listening(answers(OK), server_context(host="other.example")) as (origin, port):
            async with behind(tunnel(port), "https://127.0.0.1:1") as (pool, _):
                with pytest.raises(httpx.ConnectError) as caught:
                    await call(pool)
                assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
            assert origin.requests == []

    run(test())


def says(data: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(data)

    return serve


SILENCE = 10


async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Let the time pass, by the clock of the loop, once the request is there."""
    await reader.readuntil(b"\r\n\r\n")
    loop = asyncio.get_running_loop()
    now = loop.time
    loop.time = lambda: now() + SILENCE  # type: ignore[method-assign]
    assert await reader.read() == b""


async def floods(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"A: b\r\n" * 1000)
            await writer.drain()


@pytest.mark.parametrize(
    ("serve", "message"),
    [
        (says(b"HTTP/1.1 407 Who\r\n\r\n"), "the egress proxy wants credentials"),
        (says(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"), "refused to connect to it, with status 403"),
        (says(OPEN + OK), "it did not wait for the request"),
        (says(b""), "the egress proxy closed the connection"),
        (says(b"HTTP/1.1 200"), "the egress proxy closed the connection"),
        (floods, "the answer of the egress proxy is not HTTP"),
        (silent, "the egress proxy made no connection in time"),
    ],
    ids=["credentials", "refused", "surplus", "closed", "cut off", "flood", "silent"],
)
def test_an_egress_proxy_that_makes_no_connection_is_named_and_its_place_is_free_again(
    serve: Serve, message: str
) -> None:
    async def test() -> None:
        async with behind(serve) as (pool, egress):
            patience = SILENCE if serve is silent else PATIENCE
            for _ in range(3):
                with pytest.raises(EgressError, match=message):
                    await call(pool, "POST", connect=patience)
            assert pool._capacity == 2
            assert egress.requests == [b"CONNECT origin.example:8080 HTTP/1.1"] * 3

    run(test())


def test_an_egress_proxy_that_does_not_listen_is_named() -> None:
    async def test() -> None:
        async with behind(silent, port=free_port()) as (pool, _):
            with pytest.raises(EgressError, match="the egress proxy refused the connection"):
                await call(pool)
            assert pool._capacity == 2

    run(test())


def test_only_the_name_of_the_egress_proxy_is_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    real, names = dialer.addresses, []

    async def noted(host: str, port: int) -> list[object]:
        names.append(host)
        return list(await real(host, port))

    monkeypatch.setattr(dialer, "addresses", noted)

    async def test() -> None:
        async with behind(says(b"HTTP/1.1 403 No\r\n\r\n")) as (pool, _):
            with pytest.raises(EgressError):
                await call(pool)
        assert names == ["127.0.0.1"]

    run(test())


# asyncio itself leaves the socket of a connect that is cancelled as it succeeds to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.parametrize("steps", range(0, 60, 6))
def test_a_call_that_is_cancelled_at_any_step_of_a_tunnel_gives_its_place_back_once(steps: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await drip(writer)
        await answers(OK)(reader, writer)

    async def test() -> None:
        async with behind(serve) as (pool, egress):
            calling = asyncio.create_task(begin(pool))
            for _ in range(steps):
                await asyncio.sleep(0)
            calling.cancel()
            await asyncio.wait([calling])
            del calling
            await until(lambda: pool._capacity + len(pool._idle) >= 2)
            await until(lambda: gc.collect() >= 0 and egress.open <= len(pool._idle))
            assert pool._capacity + len(pool._idle) == 2
            assert await body_of(pool) == b"ok"

    run(test())
