"""The PROXY protocol on real connections, by hand and from HAProxy."""

import asyncio
import contextlib
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.callers.trusted_proxies import TrustedProxies
from proxy.gateway.server import client_address, protocol
from proxy.gateway.server.client_address import ClientAddresses
from tests.support.certificates import certified
from tests.support.paths import ROOT
from tests.support.processes import running
from tests.support.programs import program
from tests.support.proxy import HEAD, Proxy, proxy_for, watched
from tests.support.scrape import Scrape
from tests.support.sockets import free_port
from tests.support.upstream import Upstream
from tests.support.waiting import PATIENCE, until
from tests.support.wire import Wire

TRIGGER = f"{HEAD}Content-Length: 2\r\n\r\n{{}}".encode()
ANNOUNCED = b"PROXY TCP4 198.51.100.7 192.0.2.1 51234 443\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
HEADERS = {
    "version 1": ANNOUNCED,
    "version 2": SIGNATURE + bytes([0x21, 0x11, 0, 12, 198, 51, 100, 7, 192, 0, 2, 1, 200, 34, 1, 187]),
}
OF_ITSELF = {"version 1": b"PROXY UNKNOWN\r\n", "version 2": SIGNATURE + bytes([0x20, 0, 0, 0])}
EXPECTS: dict[str, Any] = {"callers": {"proxy_protocol": True}}
TRUSTS_NOBODY_HERE: dict[str, Any] = {"callers": {"proxy_protocol": True, "trusted_proxies": ["192.0.2.0/24"]}}


@pytest.fixture
def proxy(upstream: Upstream, tmp_path: Path) -> Iterator[Proxy]:
    with proxy_for(upstream.url, tmp_path, **EXPECTS) as running:
        yield running


def recorded(proxy: Proxy, sent: bytes) -> str | None:
    """The address in the record of a call, which begins with some bytes."""
    with proxy.wire(sent) as caller:
        assert caller.answer("POST").status == 200
    found: str | None = proxy.records()[-1].get("client_ip")
    return found


def refused(proxy: Proxy, sent: bytes) -> None:
    with proxy.wire(sent) as caller, contextlib.suppress(ConnectionResetError):
        assert caller.rest() == b""


@pytest.mark.parametrize("version", HEADERS)
def test_the_address_in_the_header_is_that_of_the_caller(upstream: Upstream, proxy: Proxy, version: str) -> None:
    assert recorded(proxy, HEADERS[version] + TRIGGER) == "198.51.100.7"
    assert upstream.received[-1].all("X-Forwarded-For") == ["198.51.100.7"]


@pytest.mark.parametrize("version", OF_ITSELF)
def test_a_balancer_that_speaks_for_itself_has_its_own_address(proxy: Proxy, version: str) -> None:
    assert recorded(proxy, OF_ITSELF[version] + TRIGGER) == "127.0.0.1"


def test_a_caller_that_is_not_trusted_cannot_claim_another_address(upstream: Upstream, proxy: Proxy) -> None:
    claims = TRIGGER.replace(b"Host: proxy\r\n", b"Host: proxy\r\nX-Forwarded-For: 203.0.113.66\r\n")
    assert recorded(proxy, ANNOUNCED + claims) == "198.51.100.7"
    assert upstream.received[-1].all("X-Forwarded-For") == ["198.51.100.7"]
    # A trusted proxy before the balancer is believed, as everywhere.
    assert recorded(proxy, ANNOUNCED.replace(b"198.51.100.7", b"127.0.0.9") + claims) == "203.0.113.66"


def test_the_header_holds_for_all_calls_of_its_connection(proxy: Proxy) -> None:
    with proxy.wire(ANNOUNCED + TRIGGER) as caller:
        caller.answer("POST")
        caller.send(TRIGGER)
        caller.answer("POST")
        caller.send(ANNOUNCED)  # a second one is no request
        assert caller.answer().status == 400
    assert [record["client_ip"] for record in proxy.records()] == ["198.51.100.7"] * 2


@pytest.mark.parametrize("version", HEADERS)
def test_a_header_may_come_byte_by_byte(proxy: Proxy, version: str) -> None:
    with proxy.wire() as caller:
        for byte in HEADERS[version]:
            caller.send(bytes([byte]))
        caller.send(TRIGGER)
        assert caller.answer("POST").status == 200
    assert proxy.records()[-1]["client_ip"] == "198.51.100.7"


@pytest.mark.parametrize("version", HEADERS)
def test_the_header_comes_before_tls(upstream: Upstream, tmp_path: Path, version: str) -> None:
    tls, trusting = certified(tmp_path)
    with proxy_for(upstream.url, tmp_path, tls=tls, **EXPECTS) as proxy:
        plain = proxy.connect()
        plain.sendall(HEADERS[version])
        with Wire(trusting.wrap_socket(plain, server_hostname="127.0.0.1")) as caller:
            caller.send(TRIGGER)
            assert caller.answer("POST").status == 200
        assert proxy.records()[-1]["client_ip"] == "198.51.100.7"


@pytest.mark.parametrize(
    "sent",
    [
        TRIGGER,
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc",
        b"PROXY TCP4 x y 1 2\r\n" + TRIGGER,
        SIGNATURE + b"\x21\x11\xff\xff",
    ],
)
def test_a_connection_without_a_sound_header_is_closed_without_an_answer(
    upstream: Upstream, tmp_path: Path, sent: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with watched(upstream.url, tmp_path, **EXPECTS) as (proxy, admin):
        for _ in range(3):
            refused(proxy, sent)
        scrape = Scrape(admin)  # which speaks HTTP only
        assert scrape.value("refusals_total", limit="proxy_header") == 3
        assert scrape.value("connections") == 0
    assert upstream.received == []
    said = capfd.readouterr().err
    assert said.count("proxy header refused peer=127.0.0.1") == 1  # not for each


def test_whoever_is_not_trusted_is_not_even_heard(
    upstream: Upstream, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with proxy_for(upstream.url, tmp_path, **TRUSTS_NOBODY_HERE) as proxy:
        refused(proxy, b"")
        refused(proxy, ANNOUNCED + TRIGGER)
    assert upstream.received == []
    assert 'reason="it is not in callers.trusted_proxies"' in capfd.readouterr().err


def test_whoever_can_open_the_unix_socket_is_trusted(upstream: Upstream, tmp_path: Path) -> None:
    with proxy_for(upstream.url, tmp_path, listen=f"unix:{tmp_path}/socket", **TRUSTS_NOBODY_HERE) as proxy:
        assert recorded(proxy, ANNOUNCED + TRIGGER) == "198.51.100.7"
        assert recorded(proxy, OF_ITSELF["version 2"] + TRIGGER) is None
        refused(proxy, TRIGGER)


@pytest.mark.parametrize("sent", [b"PROXY TCP4 198.51.100.7", SIGNATURE, ANNOUNCED[:-1]])
def test_a_header_has_a_time_limit(
    upstream: Upstream, tmp_path: Path, sent: bytes, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT", 0.05)
    with proxy_for(upstream.url, tmp_path, **EXPECTS) as proxy:
        refused(proxy, sent)
    assert 'reason="no header within 0.05 s"' in capfd.readouterr().err


def test_a_port_check_is_nothing_to_report(proxy: Proxy, capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        with proxy.wire() as caller:
            caller.half_close()
            assert caller.rest() == b""
    with proxy.wire() as caller:
        caller.reset()
    assert recorded(proxy, ANNOUNCED + TRIGGER) == "198.51.100.7"
    assert capfd.readouterr().err == ""


def test_a_header_that_ends_in_the_middle_is_refused(proxy: Proxy, capfd: pytest.CaptureFixture[str]) -> None:
    with proxy.wire(ANNOUNCED[:20]) as caller:
        caller.half_close()
        assert caller.rest() == b""
    assert 'reason="a header that ends in the middle"' in capfd.readouterr().err


def test_it_is_reported_again_after_a_while(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(client_address, "QUIET", 0)
    refused(proxy, TRIGGER)
    refused(proxy, TRIGGER)
    assert capfd.readouterr().err.count("proxy header refused") == 2


def test_a_connection_is_closed_if_a_stop_does_not_wait_for_its_header() -> None:
    async def scenario() -> bytes:
        ours, theirs = socket.socketpair()
        addresses = ClientAddresses(TrustedProxies([]), PATIENCE, lambda _: None)
        reading = asyncio.create_task(addresses.read(ours))
        await asyncio.sleep(0)  # until it waits
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
        with theirs:
            theirs.settimeout(PATIENCE)
            return theirs.recv(1)

    assert asyncio.run(scenario()) == b""


def test_where_it_is_off_a_header_is_no_request(upstream: Upstream, tmp_path: Path) -> None:
    with proxy_for(upstream.url, tmp_path) as proxy, proxy.wire(ANNOUNCED + TRIGGER) as caller:
        assert caller.answer().status == 400
    assert upstream.received == []


# --- HAProxy

BALANCER = """
defaults
  mode {mode}
  timeout connect 20s
  timeout client 20s
  timeout server 20s
  timeout check 20s
frontend callers
  bind 127.0.0.1:{port}
  default_backend proxies
backend proxies
  server shim {where} {options}
"""


@contextlib.contextmanager
def balanced(proxy: Proxy, folder: Path, options: str, mode: str = "tcp") -> Iterator[Proxy]:
    """HAProxy in front of a proxy."""
    file, port = folder / "haproxy.cfg", free_port()
    where = f"127.0.0.1:{proxy.port}" if proxy.port else f"unix@{proxy.host}"
    file.write_text(BALANCER.format(mode=mode, port=port, where=where, options=options))
    command = [program("haproxy"), "-q", "-db", "-f", str(file)]
    with running(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)):
        front = Proxy("127.0.0.1", port, proxy.log)
        until(lambda: _listens(front))
        yield front


def _listens(proxy: Proxy) -> bool:
    try:
        proxy.connect().close()
    except ConnectionError:
        return False
    return True


def from_elsewhere(front: Proxy) -> socket.socket:
    """A connection from an address that is not trusted, although it is this machine's."""
    return socket.create_connection((front.host, front.port), 20, ("127.0.0.2", 0))


BEHIND: dict[str, Any] = {"callers": {"proxy_protocol": True, "trusted_proxies": ["127.0.0.1/32"]}}


@pytest.mark.parametrize("kind", ["TCP", "Unix"])
@pytest.mark.parametrize("options", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"])
@pytest.mark.parametrize("mode", ["tcp", "http"])
def test_behind_haproxy_the_caller_has_its_own_address(
    upstream: Upstream, tmp_path: Path, kind: str, options: str, mode: str
) -> None:
    where: dict[str, Any] = {"listen": f"unix:{tmp_path}/socket"} if kind == "Unix" else {}
    with (
        proxy_for(upstream.url, tmp_path, **where, **BEHIND) as proxy,
        balanced(proxy, tmp_path, options, mode) as front,
    ):
        with Wire(from_elsewhere(front)) as caller:
            caller.send(TRIGGER)
            assert caller.answer("POST").status == 200
        assert proxy.records()[-1]["client_ip"] == "127.0.0.2"
        assert upstream.received[-1].all("X-Forwarded-For") == ["127.0.0.2"]


@pytest.mark.parametrize("options", ["send-proxy", "send-proxy-v2"])
def test_haproxy_passes_tls_through_behind_the_header(upstream: Upstream, tmp_path: Path, options: str) -> None:
    tls, trusting = certified(tmp_path)
    with (
        proxy_for(upstream.url, tmp_path, tls=tls, **BEHIND) as proxy,
        balanced(proxy, tmp_path, options) as front,
        Wire(trusting.wrap_socket(from_elsewhere(front), server_hostname="127.0.0.1")) as caller,
    ):
        caller.send(TRIGGER)
        assert caller.answer("POST").status == 200
        assert proxy.records()[-1]["client_ip"] == "127.0.0.2"


@pytest.mark.parametrize("options", ["send-proxy", "send-proxy-v2"])
def test_the_checks_of_haproxy_are_its_own_calls(
    upstream: Upstream, tmp_path: Path, options: str, capfd: pytest.CaptureFixture[str]
) -> None:
    checks = f"{options} check check-send-proxy inter 2s\n  option httpchk GET /checked"
    with proxy_for(upstream.url, tmp_path, **BEHIND) as proxy, balanced(proxy, tmp_path, checks) as front:
        until(lambda: upstream.received)
        assert front.call().status == 200
    found = {tuple(check.all("X-Forwarded-For")) for check in upstream.received if check.target == "/checked"}
    assert found == {("127.0.0.1",)}
    assert capfd.readouterr().err == ""


def test_the_backend_that_the_page_shows_works(
    upstream: Upstream, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
    [options] = re.findall(r"\n  mode tcp\n  server proxy 127\.0\.0\.1:8080 (.*)\n", page)
    with proxy_for(upstream.url, tmp_path, **BEHIND) as proxy:
        with balanced(proxy, tmp_path, options) as front:
            assert recorded(front, TRIGGER) == "127.0.0.1"
        assert capfd.readouterr().err == ""


def test_haproxy_without_the_header_is_refused_and_the_operator_told(
    upstream: Upstream, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with proxy_for(upstream.url, tmp_path, **BEHIND) as proxy, balanced(proxy, tmp_path, "") as front:
        refused(front, TRIGGER)
    assert 'reason="no header of the PROXY protocol"' in capfd.readouterr().err
