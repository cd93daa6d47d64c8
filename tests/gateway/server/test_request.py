import contextlib
import re
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from proxy.gateway.server import listeners
from tests.support.processes import running
from tests.support.programs import program
from tests.support.proxy import TRIGGER, Proxy, proxy_for
from tests.support.upstream import Upstream
from tests.support.waiting import until


class Row(NamedTuple):
    """A raw request, and what must come of it."""

    name: str
    sent: bytes
    status: list[int]
    reached: int
    closed: bool


def _row(name: str, sent: str, status: list[int], reached: int = 0, fill: int = 0, closed: bool = False) -> Row:
    text = sent.replace("{trigger}", TRIGGER).replace("{fill}", "a" * fill).replace("{zeros}", "0" * fill)
    data = text.encode("latin-1")
    return Row(name, data, status, reached, closed or max(status) >= 400)


ROWS = [_row(**row) for row in yaml.safe_load(Path(__file__).with_name("raw_requests.yaml").read_text("utf-8"))]
every_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


class Place(NamedTuple):
    """A proxy and its upstream, for tests that change neither."""

    upstream: Upstream
    proxy: Proxy


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with Upstream().running() as upstream, proxy_for(upstream.url, tmp_path_factory.mktemp("place")) as proxy:
        yield Place(upstream, proxy)


@every_row
def test_a_raw_request_is_served_or_refused_and_smuggles_nothing(place: Place, row: Row) -> None:
    before = len(place.upstream.received)
    with place.proxy.wire(row.sent) as connection:
        answers = [connection.answer() for _ in row.status]
        if row.closed:
            assert connection.rest() == b""
    assert [answer.status for answer in answers] == row.status
    assert len(place.upstream.received) - before == row.reached
    for refusal in (answer for answer in answers if answer.status >= 400):
        assert refusal.json().keys() == {"error_code", "message", "request_id", "details"}
        assert refusal.json()["details"]["run_started"] == "no"
        assert refusal.header("content-type") == "application/json"
        assert refusal.header("connection") == "close"
        assert refusal.header("date") is not None


def _answering(listener: socket.socket) -> None:
    """Answer whatever has a head, and close: an upstream that nothing can confuse."""
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                received = b""
                while b"\r\n\r\n" not in received and (piece := connection.recv(65536)):
                    received += piece
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")


NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log stderr crit;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
  uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
  server {{ listen unix:{folder}/nginx; location / {{ proxy_pass http://{upstream}; proxy_http_version 1.1; }} }}
}}
"""

HAPROXY = """
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend callers
  bind unix@{folder}/haproxy
  default_backend upstream
backend upstream
  server upstream {upstream}
"""

REFERENCES = {
    "nginx": (NGINX, ["-e", "stderr", "-c"]),
    "haproxy": (HAPROXY, ["-q", "-db", "-f"]),
}


def _connected(address: Path) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(0.3)
    try:
        connection.connect(str(address))
    except OSError:
        connection.close()
        return None
    return connection


@contextlib.contextmanager
def _reference(name: str, folder: Path, upstream: str) -> Iterator[Path]:
    """One of the two servers, and the address where it listens."""
    text, options = REFERENCES[name]
    command = [program(name), *options]
    settings_file = folder / f"{name}.conf"
    settings_file.write_text(text.format(folder=folder, upstream=upstream))
    address = folder / name
    with running(subprocess.Popen([*command, str(settings_file)])):
        until(lambda: _connected(address)).close()
        yield address


@pytest.fixture(scope="module")
def references() -> Iterator[list[Path]]:
    with (
        tempfile.TemporaryDirectory() as folder,  # a short name: that of a Unix socket has at most 107 bytes
        listeners.loopback() as listener,
        contextlib.ExitStack() as stack,
    ):
        threading.Thread(target=_answering, args=(listener,), daemon=True).start()
        upstream = "{}:{}".format(*listener.getsockname())
        yield [stack.enter_context(_reference(name, Path(folder), upstream)) for name in REFERENCES]
        listener.shutdown(socket.SHUT_RDWR)


def _refuses(address: Path, row: Row) -> bool:
    """Return whether a server answers with an error, or closes without an answer, instead of waiting for more."""
    connection = _connected(address)
    assert connection is not None
    received = b""
    with connection, contextlib.suppress(TimeoutError, ConnectionError):
        with contextlib.suppress(ConnectionError):
            connection.sendall(row.sent)
        while len(statuses := re.findall(rb"HTTP/1\.[01] ([1-5])\d\d ", received)) < len(row.status):
            piece = connection.recv(65536)
            if not piece:
                return not statuses
            received += piece
    return any(status in b"45" for status in re.findall(rb"HTTP/1\.[01] ([1-5])\d\d ", received))


@every_row
def test_what_nginx_and_haproxy_both_refuse_is_refused(references: list[Path], row: Row) -> None:
    if all(_refuses(address, row) for address in references):
        assert max(row.status) >= 400


def test_connect_and_trace_say_what_is_allowed(proxy: Proxy) -> None:
    with proxy.wire(b"TRACE /a HTTP/1.1\r\nHost: h\r\n\r\n") as connection:
        answer = connection.answer()
    assert (answer.status, answer.json()["error_code"]) == (405, "MethodNotAllowed")
    assert "POST" in (answer.header("allow") or "")


@pytest.mark.parametrize(
    ("target", "forwarded"),
    [
        ("/x", "/x"),
        ("//evil.example/x", "//evil.example/x"),
        ("/http://evil.example/x", "/http://evil.example/x"),
        ("/@evil.example/x?y=%2F&y=a+b", "/@evil.example/x?y=%2F&y=a+b"),
        ("/%2F%2e%2E/;p/x%00?", "/%2F%2e%2E/;p/x%00?"),
        ("http://evil.example", "/"),
        ("http://evil.example/", "/"),
        ("http://evil.example?y", "/?y"),
        ("http://evil.example:81/x?y", "/x?y"),
        ("http://[::1]:81/x", "/x"),
        ("http://[::1]", "/"),
        ("http://h:/x", "/x"),
        ("HTTPS://evil.example//x", "//x"),
        ("*", None),
        ("*@evil.example/x", None),
        ("@evil.example/x", None),
        (":80/x", None),
        ("evil.example:80", None),
        ("ftp://evil.example/x", None),
        ("x", None),
        ("?x", None),
        ("/x#fragment", None),
        ("http://evil.example#fragment", None),
        ("http://h:80x/a", None),
        ("http://h:80:80/a", None),
        ("http://h:65536/a", None),
        ("http://[::1/a", None),
        ("http://::1/a", None),
        ("http://[::1]x/a", None),
        ("http://[::::1]/a", None),
        ("http://[h]/a", None),
        ("http://user:secret@evil.example:81/x?y", None),
        ("http://user@/a", None),
        ("http://@h/a", None),
        ("http://h@/a", None),
        ("http://:80/a", None),
        ("http:///a", None),
        ("http://", None),
        ("https://?a", None),
        ("http://h\\evil/a", None),
        ("http://é/a", None),
        ("\\evil.example/x", None),
    ],
)
def test_whatever_the_target_the_host_is_the_configured_one(place: Place, target: str, forwarded: str | None) -> None:
    before = len(place.upstream.received)
    with place.proxy.wire(f"GET {target} HTTP/1.1\r\nHost: evil.example\r\n\r\n".encode()) as connection:
        assert connection.answer().status == (400 if forwarded is None else 200)
    received = place.upstream.received[before:]
    assert [request.target for request in received] == ([] if forwarded is None else [forwarded])
    assert all(request.all("host") == [place.upstream.url.removeprefix("http://")] for request in received)


def test_a_withdrawn_call_to_a_proxy_in_absolute_form_is_translated(upstream: Upstream, proxy: Proxy) -> None:
    head = f"POST http://api.example:81{TRIGGER} HTTP/1.1\r\nHost: api.example:81\r\nContent-Length: 0\r\n\r\n"
    with proxy.wire(head.encode()) as connection:
        assert connection.answer().json()["flux_id"] == "7"
    assert upstream.received[0].target == "/repos/acme/shop/cicd/runs"
    assert proxy.records()[0]["path"] == TRIGGER


def _head_of(headers: int, size: int) -> bytes:
    lines = b"".join(b"x-%d: %b\r\n" % (number, b"v" * size) for number in range(headers))
    return b"GET /a HTTP/1.1\r\nHost: h\r\n" + lines


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (_head_of(200, 300) + b"\r\n", 200),
        (_head_of(1, 60_000) + b"\r\n", 200),
        (_head_of(10_000, 1) + b"\r\n", 431),
        (_head_of(300, 1) + b"\r\n", 431),
        (_head_of(100, 700) + b"\r\n", 431),
        (_head_of(100, 100_000) + b"\r\n", 431),
        (_head_of(10_000, 100), 431),
    ],
    ids=["many", "large", "ten thousand", "too many", "too large together", "ten megabytes", "without an end"],
)
def test_a_head_has_at_most_64_kib_and_256_headers(place: Place, head: bytes, status: int) -> None:
    before = len(place.upstream.received)
    with place.proxy.wire(head) as connection:
        assert connection.answer().status == status
    assert len(place.upstream.received) - before == (status == 200)


def test_the_size_of_a_head_is_measured_from_its_start(upstream: Upstream, proxy: Proxy) -> None:
    body = b"x" * 200_000
    large = _head_of(1, 40_000) + b"\r\n"
    with proxy.wire(b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body)) as connection:
        connection.send(body + large[:20_000])
        assert connection.answer().status == 200
        proxy.has_read()
        connection.send(large[20_000:] + large)
        assert [connection.answer().status for _ in range(2)] == [200, 200]
    assert len(upstream.received) == 3
