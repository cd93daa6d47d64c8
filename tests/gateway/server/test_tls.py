"""The port that speaks TLS, and callers that do not speak it as it expects."""

import asyncio
import contextlib
import http.client
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from proxy.gateway.server import protocol
from proxy.gateway.server.tls import Context
from tests.gateway.server.accepting import LimitedAcceptor, eventually
from tests.gateway.server.samples import GET
from tests.support.certificates import certified
from tests.support.proxy import HEAD, TRIGGER, Proxy, proxy_for
from tests.support.upstream import Upstream
from tests.support.wire import reset_on_close


class Secure(NamedTuple):
    """A proxy that speaks TLS, and what trusts it."""

    proxy: Proxy
    trusting: ssl.SSLContext

    def serves(self) -> bool:
        """Whether a call over TLS is answered."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.proxy.port, context=self.trusting, timeout=20)
        with contextlib.closing(connection):
            connection.request("POST", TRIGGER, b"{}")
            return connection.getresponse().status == 200


@contextlib.contextmanager
def secure(upstream: Upstream, folder: Path) -> Iterator[Secure]:
    tls, trusting = certified(folder)
    with proxy_for(upstream.url, folder, tls=tls) as proxy:
        yield Secure(proxy, trusting)


def context_of(folder: Path) -> Context:
    tls, _ = certified(folder)
    context = Context(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls["certificate"], tls["key"])
    return context


@pytest.fixture
def place(upstream: Upstream, tmp_path: Path) -> Iterator[Secure]:
    with secure(upstream, tmp_path) as place:
        yield place


@pytest.mark.parametrize(
    "sent",
    [
        GET,
        f"{HEAD}Content-Length: 2\r\n\r\n{{}}".encode(),
        b"DELETE /acme/shop HTTP/1.1\r\nHost: h\r\n\r\n",
        b"CONNECT h:443 HTTP/1.1\r\n\r\n",
        b"SSH-2.0-x\r\n",
        b"\0" * 9,
    ],
)
def test_plain_http_on_the_tls_port_gets_an_answer(upstream: Upstream, place: Secure, sent: bytes) -> None:
    with place.proxy.wire(sent) as connection:
        answer = connection.answer()
        connection.half_close()
        assert connection.rest() == b""
    assert (answer.status, answer.header("connection")) == (400, "close")
    assert answer.header("date") is not None
    assert answer.json().keys() == {"error_code", "message", "request_id", "details"}
    assert answer.json()["error_code"] == "InvalidRequest"
    assert answer.json()["message"].startswith("This port speaks TLS: call it with https.")
    assert answer.json()["details"] == {"run_started": "no"}
    assert place.serves()
    assert len(upstream.received) == len(place.proxy.records()) == 1


def test_input_after_the_refusal_is_discarded(tmp_path: Path) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context_of(tmp_path).wrap_bio(incoming, outgoing, server_side=True)
    for sent, refused in [(b"G", False), (GET, True), (GET, False), (b"x" * 100_000, False)]:
        incoming.write(sent)
        with pytest.raises(ssl.SSLWantReadError):
            session.do_handshake()
        assert outgoing.read().startswith(b"HTTP/1.1 400 ") == refused
    assert incoming.pending == 0


def test_a_caller_without_tls_gets_its_answer_despite_a_large_body(place: Secure) -> None:
    with place.proxy.wire() as connection:
        connection.socket.sendall(f"{HEAD}Content-Length: 4000000\r\n\r\n".encode() + b"x" * 4_000_000)
        assert connection.answer().status == 400


def test_a_handshake_may_come_byte_by_byte(place: Secure) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = place.trusting.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with place.proxy.wire() as connection:
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        for byte in outgoing.read():
            connection.send(bytes([byte]))
        incoming.write(connection.socket.recv(65536))
        client.do_handshake()
    assert place.serves()


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\0\x01", GET])
def test_a_handshake_that_takes_too_long_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, upstream: Upstream, tmp_path: Path, sent: bytes
) -> None:
    # Long enough to read what was sent, however slow: what is unread at the end makes it a reset.
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT", 3.0 if sent else 0.3)
    with secure(upstream, tmp_path) as place, place.proxy.wire(sent) as connection:
        if sent == GET:
            assert connection.answer().status == 400
        assert connection.rest() == b""


def test_a_caller_that_leaves_silently_does_no_harm(place: Secure, capfd: pytest.CaptureFixture[str]) -> None:
    for number in range(4):
        connection = place.proxy.connect()
        if number % 2:
            reset_on_close(connection)
        connection.close()
    assert place.serves()
    assert capfd.readouterr().err == ""


def test_a_caller_without_a_handshake_counts_as_a_connection(tmp_path: Path, stderr: Path) -> None:
    async def scenario() -> None:
        limited = LimitedAcceptor(room=2, tls=context_of(tmp_path))
        with contextlib.ExitStack() as stack:
            callers = [stack.enter_context(socket.create_connection(limited.address)) for _ in range(3)]
            callers[0].sendall(GET)
            await eventually(lambda: "too many connections" in stderr.read_text())
            limited.acceptor.close()
        assert limited.faults == []

    asyncio.run(asyncio.wait_for(scenario(), 20))
