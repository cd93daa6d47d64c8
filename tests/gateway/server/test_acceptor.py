import asyncio
import contextlib
import socket
import ssl
from pathlib import Path

import pytest
import trustme
from starlette.types import Receive, Scope, Send

from proxy import config
from proxy.gateway.app import App
from proxy.gateway.server import acceptor, listeners, server
from proxy.gateway.server.acceptor import Acceptor
from proxy.gateway.server.descriptors import Shortage
from tests.gateway.server.accepting import Accepted, LimitedAcceptor, eventually
from tests.gateway.server.samples import GET
from tests.support.proxy import HEAD, Proxy
from tests.support.upstream import Upstream
from tests.support.waiting import PATIENCE, until
from tests.support.wire import reset_on_close


def test_a_caller_without_room_is_accepted_when_another_leaves(stderr: Path) -> None:
    async def scenario() -> None:
        limited = LimitedAcceptor(room=2)
        with contextlib.ExitStack() as stack:
            callers = [stack.enter_context(socket.create_connection(limited.address)) for _ in range(5)]
            await eventually(lambda: "too many connections" in stderr.read_text())
            for _ in range(3):
                assert len(limited.accepted) == 2
                gone = limited.accepted[0]
                gone.transport.close()
                await eventually(lambda gone=gone: gone not in limited.accepted)  # type: ignore[misc]
                await limited.has(2)
            assert len(callers) == 5
        limited.acceptor.close()
        await limited.has(0)

    asyncio.run(scenario())
    assert stderr.read_text().count("too many connections") == 1


def test_who_waits_when_it_closes_is_accepted() -> None:
    async def scenario() -> None:
        limited = LimitedAcceptor(room=1)
        with contextlib.ExitStack() as stack:
            for _ in range(5):
                stack.enter_context(socket.create_connection(limited.address))
            await limited.has(1)
            limited.acceptor.close()
            await limited.acceptor.settle()
            assert len(limited.accepted) == 5
        await limited.has(0)

    asyncio.run(scenario())


def test_processes_that_accept_one_at_a_time_get_equal_shares() -> None:
    async def scenario() -> None:
        listener = listeners.loopback()
        accepted: list[list[Accepted]] = [[], []]
        acceptors = [
            Acceptor(
                listener.dup(),
                lambda mine=mine: Accepted(mine),
                lambda: PATIENCE,
                Shortage(),
                tls=None,
                handshake=PATIENCE,
                batch=1,
            )
            for mine in accepted
        ]
        with contextlib.ExitStack() as stack:
            for _ in range(10):  # they wait before anybody looks
                stack.enter_context(socket.create_connection(listener.getsockname()))
            await eventually(lambda: sum(map(len, accepted)) == 10)
            assert list(map(len, accepted)) == [5, 5]
        await eventually(lambda: accepted == [[], []])
        for one in acceptors:
            one.close()
        listener.close()

    asyncio.run(scenario())


def test_nothing_is_logged_if_the_last_place_was_enough(capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario() -> None:
        limited = LimitedAcceptor(room=2)
        with socket.create_connection(limited.address), socket.create_connection(limited.address):
            await limited.has(2)
        await limited.has(0)
        limited.acceptor.close()

    asyncio.run(scenario())
    assert capsys.readouterr().err == ""


def test_a_pause_for_want_of_room_ends_with_the_close(monkeypatch: pytest.MonkeyPatch, stderr: Path) -> None:
    monkeypatch.setattr(acceptor, "PAUSE", 0.01)

    async def scenario() -> None:
        limited = LimitedAcceptor(room=0)
        with socket.create_connection(limited.address):
            await eventually(lambda: "too many connections" in stderr.read_text())
            limited.acceptor.close()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(limited.address)
            await asyncio.sleep(0.03)  # three times a pause
        await limited.acceptor.settle()
        await limited.has(0)
        assert limited.faults == []

    asyncio.run(scenario())


def test_a_slow_tls_handshake_is_cut_off() -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)

    async def scenario() -> None:
        limited = LimitedAcceptor(room=1, tls=context, handshake=0.05)
        with socket.create_connection(limited.address) as caller:
            caller.setblocking(False)
            async with asyncio.timeout(PATIENCE):
                assert await asyncio.get_running_loop().sock_recv(caller, 1) == b""
        with socket.create_connection(limited.address) as caller:  # there is room again
            caller.setblocking(False)
            async with asyncio.timeout(PATIENCE):
                await asyncio.get_running_loop().sock_sendall(caller, b"\x16\x03\x01\0\x05no hello")
                while await asyncio.get_running_loop().sock_recv(caller, 100):  # what TLS has to say to that
                    pass
        limited.acceptor.close()
        assert limited.faults == []

    asyncio.run(scenario())


def test_callers_that_have_left_before_they_are_accepted_do_no_harm(
    upstream: Upstream, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "callers.jsonl"
    public = listeners.loopback()
    for sent in (b"", GET, HEAD.encode()):
        caller = socket.create_connection(public.getsockname())
        caller.sendall(sent)
        reset_on_close(caller)
        caller.close()
    settings = config.load(None, {}, {"upstream": {"url": upstream.url}, "callers": {"log": str(log)}, "ledger": None})
    host, port = public.getsockname()
    with server.background(App(settings), public):
        assert Proxy(host, port, log).call().status == 200
    assert capfd.readouterr().err == ""


def test_a_fault_outside_a_call_is_logged_in_one_line_without_its_message(stderr: Path) -> None:
    def fails() -> None:
        raise RuntimeError("Bearer secret-token")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            asyncio.get_running_loop().call_soon(fails)
            await receive()
            await send({"type": "lifespan.shutdown.complete"})

    with server.background(app, listeners.loopback()):
        said = until(stderr.read_text)
    assert said == 'trigger-shim: error: internal error during="the event loop" exception=RuntimeError\n'
