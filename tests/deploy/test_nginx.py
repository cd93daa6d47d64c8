import contextlib
import itertools
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy import config
from proxy.gateway.call.body import FORWARDED_FROM
from proxy.gateway.server import protocol
from proxy.gateway.server.protocol import KEEPALIVE
from proxy.withdrawn import endpoints
from proxy.withdrawn.current import FIRST_SEGMENTS, ID_PREFIX, PUBLISHED
from tests.deploy.tools import DEPLOY, adapted
from tests.support.examples import examples
from tests.support.processes import running
from tests.support.programs import program
from tests.support.proxy import HEAD, TRIGGER, Proxy, proxy_for
from tests.support.sockets import free_port
from tests.support.upstream import Upstream, closes, held, reply
from tests.support.waiting import until
from tests.support.wire import Answer, Wire

FILE = DEPLOY / "nginx" / "trigger-shim.conf"
TEXT = FILE.read_text(encoding="utf-8")
NAME = "api.sourcecraft.tech"
SWITCH = {"set $trigger_shim_backend $trigger_shim_by_path;": "set $trigger_shim_backend http://trigger_shim;"}
SERVICE = "https://api.sourcecraft.tech"
SHIM = "http://trigger_shim"

MAIN = """
daemon off; master_process off; pid {folder}/pid; error_log stderr;
events {{ worker_connections 256; }}
http {{
  access_log off; gzip on; gzip_min_length 1; gzip_types *;
  client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
  uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
  include {folder}/trigger-shim.conf;
}}
"""


class Authority:
    """Signs for the name of the API, which nginx and the service both have."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        issued = authority.issue_cert(NAME)
        self.certificate, self.key, self.trusted = folder / "crt.pem", folder / "key.pem", folder / "ca.pem"
        issued.cert_chain_pems[0].write_to_path(self.certificate)
        issued.private_key_pem.write_to_path(self.key)
        authority.cert_pem.write_to_path(self.trusted)
        self.trusting = ssl.create_default_context()
        authority.configure_trust(self.trusting)
        self.serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issued.configure_cert(self.serving)
        self.asked_for: set[str | None] = set()
        self.serving.sni_callback = lambda _socket, name, _context: self.asked_for.add(name)


@dataclass
class Front:
    """nginx, by which callers come.

    Attributes:
        service: where nginx sends what is not withdrawn; in the place of the real service.
        upstream: what the proxy forwards to; the same service, in a place of its own so that the two ways can be told.
    """

    port: int
    proxy: Proxy
    service: Upstream
    upstream: Upstream
    authority: Authority

    def connect(self, source: str = "127.0.0.1") -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.port), 20, (source, 0))
        return self.authority.trusting.wrap_socket(plain, server_hostname=NAME)

    def call(
        self,
        path: str = TRIGGER,
        body: bytes | None = b"{}",
        method: str = "POST",
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """A call whose path is sent as it is written here."""
        lines = {"Host": NAME, "Authorization": "Bearer secret-token", **(headers or {})}
        if body is not None:
            lines["Content-Length"] = str(len(body))
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        with Wire(self.connect("127.0.0.2")) as wire:
            wire.send(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + (body or b""))
            return wire.answer(method)

    def went(self, method: str, path: str) -> str:
        """Where a call went: to the proxy, or straight to the service."""
        before = len(self.service.received), len(self.upstream.received)
        assert self.call(path, None, method).status == 200
        straight, through = len(self.service.received) - before[0], len(self.upstream.received) - before[1]
        assert straight + through == 1
        return SHIM if through else SERVICE


def _written(folder: Path, authority: Authority, front: int, proxies: str, service: str, more: dict[str, str]) -> Path:
    changes = {
        "    listen 443 ssl;\n    listen [::]:443 ssl;": f"    listen 127.0.0.1:{front} ssl;",
        "server 127.0.0.1:8080;": proxies,
        "/etc/nginx/trigger-shim.crt": str(authority.certificate),
        "/etc/nginx/trigger-shim.key": str(authority.key),
        "/etc/ssl/certs/ca-certificates.crt": str(authority.trusted),
        SERVICE: service,
        **more,
    }
    (folder / FILE.name).write_text(adapted(FILE, changes))
    main = folder / "nginx.conf"
    main.write_text(MAIN.format(folder=folder))
    return main


@contextlib.contextmanager
def fronted(
    folder: Path, changes: dict[str, str] | None = None, proxies: str | None = None, **sections: Any
) -> Iterator[Front]:
    """The whole: nginx, the proxy behind it, or others in its place, and the service."""
    nginx, authority, port = program("nginx"), Authority(folder), free_port()
    # The callers come from an address that is not trusted, although it is this machine's.
    sections = {"callers": {"trusted_proxies": ["127.0.0.1/32"]}, **sections}
    with contextlib.ExitStack() as stack:
        service = stack.enter_context(Upstream(tls=authority.serving).running())
        upstream = stack.enter_context(Upstream().running())
        proxy = stack.enter_context(proxy_for(upstream.url, folder, **sections))
        secured = service.url.replace("http:", "https:")
        own = f"server 127.0.0.1:{proxy.port};" if proxy.port else f"server unix:{proxy.host};"
        main = _written(folder, authority, port, proxies or own, secured, changes or {})
        ran = subprocess.run([nginx, "-e", "stderr", "-t", "-c", main], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        assert "warn" not in ran.stderr
        stack.enter_context(running(subprocess.Popen([nginx, "-e", "stderr", "-c", main])))
        until(lambda: _listens(port))
        yield Front(port, proxy, service, upstream, authority)


def _listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with fronted(tmp_path_factory.mktemp("front")) as running:
        yield running


# --- which calls go to the proxy

SEGMENTS = {
    "org": ["acme", "repo", "repos2", "me.too", "%72epos"],
    "repo": ["shop", "a.b-c"],
    "repo_id": ["0198f", "0"],
    "workflow_name": ["build", "release%2Fprod", "a%20b", "%D1%81", "a%3Fb"],
    "run": ["128"],
    "workflow": ["build"],
    "task": ["t"],
    "cube": ["c"],
}


def _paths(endpoint: endpoints.Endpoint) -> list[str]:
    names = re.findall(r"\{(\w+)\}", endpoint.path)
    choices = itertools.product(*(SEGMENTS[name] for name in names))
    return [endpoint.path.format_map(dict(zip(names, chosen, strict=True))) for chosen in choices]


@pytest.mark.parametrize("endpoint", endpoints.ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_every_withdrawn_path_goes_to_the_proxy(front: Front, endpoint: endpoints.Endpoint) -> None:
    for path, query in itertools.product(_paths(endpoint), ["", "?page_size=1&x=/a/b"]):
        assert front.went(endpoint.method, path + query) == SHIM, path


_LONGER = [
    (endpoint.method, re.sub(r"\{\w+\}", "x", endpoint.path) + more)
    for endpoint, more in itertools.product(endpoints.ENDPOINTS, ["/more", "/a/b/c/d", "-"])
]
CURRENT = [
    *((endpoint.method, re.sub(r"\{\w+\}", "x", endpoint.successor)) for endpoint in endpoints.ENDPOINTS),
    *((method, path) for method, path in _LONGER if endpoints.match(method, path) is None),
    *(("PATCH", f"/{first}/x") for first in FIRST_SEGMENTS),
    *(("DELETE", f"/next/{second}") for second in ("id:7", "%69D%3A7", "cloud-id:7", "Cloud%2did:7")),
    ("POST", "/next/id:7/cicd/runs"),
    ("GET", "/acme/shop"),
    ("GET", "/acme/shop/ci_workflows/build/trigger"),
    ("PUT", "/acme/shop/cicd/runs"),
    ("POST", "//acme/shop/cicd/runs"),
    ("GET", "/acme/shop/cicd/logs/1/2/3"),
    ("GET", "/x?y=/acme/shop/cicd/runs"),
    ("GET", "/"),
]


@pytest.mark.parametrize(("method", "path"), CURRENT)
def test_every_other_path_goes_straight_to_the_service(front: Front, method: str, path: str) -> None:
    assert front.went(method, path) == SERVICE
    last = front.service.received[-1]
    assert (last.method, last.target, last.all("Host")) == (method, path, [NAME])
    assert last.all("Authorization") == ["Bearer secret-token"]
    assert front.authority.asked_for == {NAME}


_ROWS = re.findall(r'^    "~(.+)" (\S+);$', TEXT, re.MULTILINE)
_WORDS = ["acme", "repos", "id:7", "id%3a7", "me", "ci_workflows", "b%2Fc", "trigger", "runs", "logs", "shop2", ""]
_WORDS += ["teams", "%69D:7", "cloud%2Did:7", "cloud-id", "id-7"]
_WORD = st.sampled_from(_WORDS)


@st.composite
def _near_calls(draw: st.DrawFn) -> tuple[str, str]:
    """Method and path of a withdrawn endpoint, or such that differ from them by the method or by a segment."""
    endpoint = draw(st.sampled_from(endpoints.ENDPOINTS))
    method = draw(st.sampled_from([*[endpoint.method] * 5, "GET", "POST", "PATCH", "DELETE", "PUT"]))
    path = endpoint.path.replace("/id:", draw(st.sampled_from(["/id:", "/id%3A"])))
    segments = re.sub(r"\{\w+\}", lambda _: draw(_WORD), path).split("/")[1:]
    place = draw(st.integers(0, len(segments)))
    segments[place : place + draw(st.integers(0, 1))] = draw(st.lists(_WORD, max_size=1))
    return method, "/" + "/".join(segments)


@settings(max_examples=examples(700))
@given(_near_calls())
def test_the_table_and_the_proxy_agree_on_every_path(call: tuple[str, str]) -> None:
    method, path = call
    by_table = next((where for row, where in _ROWS if re.search(row, f"{method} {path}?a=/b")), SERVICE)
    assert (by_table == SHIM) == (endpoints.match(method, path) is not None)


def test_the_table_has_what_the_current_api_owns_and_when_that_was_published() -> None:
    assert f"as published in {PUBLISHED};" in TEXT
    assert rf'"~^\S+ /(?:{"|".join(FIRST_SEGMENTS)})/" {SERVICE};' in TEXT
    assert rf'"~^\S+ /[^/?]+/{ID_PREFIX}" {SERVICE};' in TEXT


def test_with_the_switch_every_call_goes_to_the_proxy(tmp_path: Path) -> None:
    with fronted(tmp_path, SWITCH) as front:
        assert front.went("GET", "/repos/acme/shop") == SHIM
        assert front.went("POST", TRIGGER) == SHIM
        assert front.went("GET", "//a%2Fb/%20/./c;d?e=%zz") == SHIM
        assert front.upstream.received[-1].target == "//a%2Fb/%20/./c;d?e=%zz"


# --- what the proxy is told


def test_the_proxy_sees_the_caller_and_what_it_wrote(front: Front) -> None:
    told = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Host": "evil.example", "Forwarded": "for=192.0.2.1"}
    answer = front.call("/acme/shop/ci_workflows/release%2Fprod%20x/trigger", headers=told)
    assert answer.status == 200
    record = front.proxy.records()[-1]
    assert record["client_ip"] == "127.0.0.2"
    assert record["workflow"] == "release/prod x"
    received = front.upstream.received[-1]
    assert received.all("X-Forwarded-For") == ["192.0.2.1, 127.0.0.2, 127.0.0.1"]
    assert received.all("X-Forwarded-Proto") == ["https, http"]
    assert received.all("X-Forwarded-Host") == [NAME]
    assert received.all("Forwarded") == []


def test_headers_that_the_proxy_takes_get_to_it(front: Front) -> None:
    with Wire(front.connect()) as wire:
        long = b"x" * 40_000
        wire.send(f"{HEAD}x_under_score: 1\r\nX-Long: ".encode() + long + b"\r\nContent-Length: 2\r\n\r\n{}")
        assert wire.answer().status == 200
    assert front.upstream.received[-1].all("x_under_score") == ["1"]
    assert front.upstream.received[-1].all("X-Long") == [long.decode()]


def test_the_connection_to_the_proxy_is_used_again(front: Front) -> None:
    connections = "/proc/net/tcp"
    front.call()
    before = _connections_to(front.proxy.port, connections)
    for _ in range(10):
        front.call()
    assert _connections_to(front.proxy.port, connections) == before


def _connections_to(port: int, table: str) -> set[str]:
    """The local ends of connections to a port, those that ended a moment ago included."""
    rows = [line.split() for line in Path(table).read_text().splitlines()[1:]]
    return {row[1] for row in rows if row[2] == f"0100007F:{port:04X}"}


def test_a_body_is_handed_on_as_it_comes_however_long_it_is(tmp_path: Path) -> None:
    with fronted(tmp_path, SWITCH) as front, Wire(front.connect()) as wire:
        length = 3 << 20  # more than nginx takes unless told
        wire.send(
            f"PUT /upload HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n".encode() + bytes(FORWARDED_FROM)
        )
        until(lambda: _has_begun(front))
        wire.send(b"x" * (length - FORWARDED_FROM))
        assert wire.answer().status == 200
        assert len(front.upstream.received[-1].body) == length


def _has_begun(front: Front) -> bool:
    """The proxy has a connection to the upstream."""
    return bool(_connections_to(int(front.upstream.url.rpartition(":")[2]), "/proc/net/tcp"))


# --- what the caller gets


def test_what_the_proxy_answers_is_what_the_caller_gets(tmp_path: Path) -> None:
    with fronted(tmp_path, lifecycle={"deprecated": "2025-01-01", "sunset": "2025-12-01"}) as front:
        answer = front.call()
        direct = front.proxy.call(headers={"Host": NAME})
    assert answer.head.line == direct.head.line == b"HTTP/1.1 410 Gone, use POST /repos/acme/shop/cicd/runs"
    assert answer.header("content-type") == "application/json"
    assert {**answer.json(), "request_id": ""} == {**direct.json(), "request_id": ""}
    assert answer.all("link") == direct.all("link")


@pytest.mark.parametrize("status", [404, 500, 502, 503, 504])
def test_an_error_of_the_service_comes_through(front: Front, status: int) -> None:
    body = b'{"error_code":"X","message":"m","request_id":"r","details":{}}'
    front.upstream.script = reply(status, body)
    try:
        answer = front.call()
    finally:
        front.upstream.script = reply()
    assert (answer.status, answer.body) == (status, body)


def test_an_answer_is_not_written_anew(tmp_path: Path) -> None:
    own = {
        "Server": "own",
        "Date": "Mon, 01 Dec 2025 00:00:00 GMT",
        "Location": f"{SHIM}/x",
        "Content-Type": "text/html",
    }
    body = b"<html>" * 100
    with fronted(tmp_path, SWITCH) as front:
        front.upstream.script = reply(200, body, {**own, "X-Accel-Redirect": "/other"})
        answer = front.call("/page", None, "GET", {"Accept-Encoding": "gzip"})
    assert (answer.status, answer.body) == (200, body)
    assert {name: answer.all(name) for name in own} == {name: [value] for name, value in own.items()}


def test_an_answer_is_handed_on_as_it_comes(tmp_path: Path) -> None:
    seen = threading.Event()

    def script(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
        assert seen.wait(20)
        connection.sendall(b"later")

    with fronted(tmp_path, SWITCH) as front, Wire(front.connect()) as wire:
        front.upstream.script = script
        wire.send(f"GET /logs HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
        assert wire.head().status == 200
        assert wire.body(5) == b"first"
        seen.set()
        assert wire.body(5) == b"later"


def test_a_trigger_is_never_sent_twice(tmp_path: Path) -> None:
    # Two places for the proxy: nginx would try the other one, if it were to try again.
    with Upstream(closes()).running() as one, Upstream(closes()).running() as other:
        both = " ".join(f"server {upstream.url.removeprefix('http://')};" for upstream in (one, other))
        with fronted(tmp_path, {"keepalive 64;": f"keepalive 64; {both}"}) as front:
            for _ in range(6):
                front.call()
        assert len(one.received) + len(other.received) + len(front.upstream.received) == 6
        assert one.received
        assert other.received


@pytest.mark.parametrize("proxies", [1, 3])
def test_where_no_proxy_is_there_the_error_has_the_schema_and_no_run_was_started(tmp_path: Path, proxies: int) -> None:
    gone = " ".join(f"server 127.0.0.1:{free_port()};" for _ in range(proxies))
    with fronted(tmp_path, proxies=gone) as front:
        answers = [front.call() for _ in range(3)]  # for some of them, nginx knows that all are gone
    for answer in answers:
        assert answer.status == 502
        assert answer.header("content-type") == "application/json"
        assert answer.json().keys() == {"error_code", "message", "request_id", "details"}
        assert answer.json()["details"] == {"run_started": "no"}


def test_a_call_goes_on_to_another_proxy_where_one_is_gone(tmp_path: Path) -> None:
    with fronted(tmp_path, {"keepalive 64;": f"server 127.0.0.1:{free_port()}; keepalive 64;"}) as front:
        assert [front.call().status for _ in range(6)] == [200] * 6
        assert len(front.upstream.received) == 6


def test_behind_another_balancer_the_address_of_the_caller_survives(tmp_path: Path) -> None:
    changes = {f"# {line}": line for line in ("set_real_ip_from", "real_ip_header", "real_ip_recursive")}
    with fronted(tmp_path, {**changes, "192.0.2.0/24": "127.0.0.2/32"}) as front:
        front.call(headers={"X-Forwarded-For": "203.0.113.9, 198.51.100.7"})
    assert front.proxy.records()[-1]["client_ip"] == "198.51.100.7"


def test_a_proxy_that_does_not_answer_is_a_timeout_with_the_schema(tmp_path: Path) -> None:
    with fronted(tmp_path, {"proxy_read_timeout 90s;": "proxy_read_timeout 1s;"}) as front:
        front.upstream.script = held(release := threading.Event())
        answer = front.call()
        release.set()  # or the proxy would wait for it at its end
    assert answer.status == 504
    assert answer.json()["details"] == {"run_started": "unknown"}


def test_over_a_unix_socket_as_the_page_shows_it(tmp_path: Path) -> None:
    page = FILE.with_name("README.md").read_text(encoding="utf-8")
    [shown] = re.findall(r"```nginx\n(upstream .*?\})\n```", page, re.DOTALL)
    [ours] = re.findall(r"^upstream .*?^\}", TEXT, re.DOTALL | re.MULTILINE)
    listen = str(config.load(None, {}, {"listen": re.findall(r"`listen: (unix:\S+)`", page)[0]}).listen)
    assert shown == re.sub(r" *#.*", "", ours.replace("server 127.0.0.1:8080;", f"server {listen};"))
    callers: dict[str, Any] = {"trusted_proxies": []}
    with fronted(tmp_path, listen=f"unix:{tmp_path}/proxy.sock", callers=callers) as front:
        for _ in range(3):
            assert front.call().status == 200
        records = front.proxy.records()
    assert [record["client_ip"] for record in records] == ["127.0.0.2"] * 3


def test_a_service_with_another_name_gets_no_token(tmp_path: Path) -> None:
    with fronted(tmp_path, {f"proxy_ssl_name {NAME};": "proxy_ssl_name other.example;"}) as front:
        assert front.call("/repos/acme/shop", None, "GET").status == 502
        assert front.service.received == []


# --- times


def _seconds(key: str) -> float:
    [value] = re.findall(rf"\b{key} (\d+)s;", TEXT)
    return float(value)


def test_nginx_waits_longer_than_the_proxy_does() -> None:
    upstream = config.load(None, {}).upstream
    assert _seconds("proxy_read_timeout") > upstream.timeout + upstream.connect_timeout
    assert _seconds("proxy_send_timeout") > upstream.timeout + upstream.connect_timeout


def test_an_idle_connection_to_the_proxy_is_given_up_before_the_proxy_does() -> None:
    assert _seconds("keepalive_timeout") < KEEPALIVE


# --- limits of one address


def is_refused(answer: Answer) -> bool:
    """Whether nginx refuses a call as the service's schema wants it: nobody takes it for a run."""
    if answer.status != 429:
        return False
    error = answer.json()
    assert set(error) == {"error_code", "message", "request_id", "details"}
    assert (error["error_code"], error["details"]) == ("TooManyCalls", {"run_started": "no"})
    assert answer.header("content-type") == "application/json"
    assert answer.header("retry-after") == "1"
    return True


def from_elsewhere(front: Front) -> int:
    with Wire(front.connect("127.0.0.3")) as wire:
        wire.send(f"POST {TRIGGER} HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        return wire.answer().status


def test_an_address_that_calls_too_often_is_refused_and_no_other(tmp_path: Path) -> None:
    with fronted(tmp_path, {"rate=300r/s": "rate=1r/m", "burst=3000": "burst=2"}) as front:
        answers = [front.call() for _ in range(5)]
        assert [is_refused(answer) for answer in answers] == [False, False, False, True, True]
        assert from_elsewhere(front) == 200
        assert len(front.upstream.received) == 4


def test_an_address_with_too_many_calls_under_way_is_refused_and_no_other(tmp_path: Path) -> None:
    release = threading.Event()
    with fronted(tmp_path, {"trigger_shim_calls 512": "trigger_shim_calls 1"}) as front, ThreadPoolExecutor(2) as calls:
        front.upstream.script = held(release)
        first = calls.submit(front.call)
        until(lambda: front.upstream.received)
        assert is_refused(front.call())
        other = calls.submit(from_elsewhere, front)
        until(lambda: len(front.upstream.received) == 2)
        release.set()
        assert (first.result().status, other.result()) == (200, 200)
        assert front.call().status == 200


def test_a_hundred_jobs_behind_one_address_are_not_refused(tmp_path: Path) -> None:
    with fronted(tmp_path) as front, ThreadPoolExecutor(100) as jobs:
        statuses = list(jobs.map(lambda _: front.call().status, range(400)))

    assert statuses == [200] * 400


def test_one_address_cannot_have_all_places_of_the_proxy() -> None:
    found = re.search(r"^    limit_conn \w+ (\d+);", TEXT, re.MULTILINE)
    assert found is not None
    assert int(found[1]) <= config.load(None, {}).limits.in_flight // 2


def test_nginx_waits_for_callers_as_long_as_the_proxy_does() -> None:
    assert f"client_header_timeout {protocol.HEAD_TIMEOUT:g}s;" in TEXT
    assert f"client_body_timeout {protocol.BODY_TIMEOUT:g}s;" in TEXT
