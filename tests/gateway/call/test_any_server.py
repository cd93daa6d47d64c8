"""The application under plain uvicorn, with either of its parsers, over TCP and over a Unix socket."""

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.types import Message, Receive, Scope, Send

from proxy import config
from proxy.gateway.buffered import Budget
from proxy.gateway.call.any_server import AnyServer
from proxy.gateway.head import EXTENSION, Head
from proxy.gateway.metrics import Metrics
from proxy.gateway.processes.start import application
from proxy.gateway.server.listeners import Listeners, loopback
from tests.gateway.call.relaying import BEGIN, chunk
from tests.support.ledgers import is_created
from tests.support.upstream import Upstream, held, reply
from tests.support.waiting import until
from tests.support.wire import Wire

RUNS = "/acme/shop/cicd/runs"
TRIGGER = b"POST /acme/shop/ci_workflows/release%2Fprod/trigger HTTP/1.1\r\nHost: proxy\r\nContent-Length: 2\r\n\r\n{}"


class Plain:
    """The application under uvicorn."""

    def __init__(self, where: Any, log: Path) -> None:
        self._where = where
        self._log = log

    def connect(self, request: bytes) -> Wire:
        family = socket.AF_UNIX if isinstance(self._where, str) else socket.AF_INET
        connection = socket.socket(family)
        connection.connect(self._where)
        wire = Wire(connection)
        wire.send(request)
        return wire

    def call(self, request: bytes) -> tuple[int, Any]:
        with self.connect(request) as wire:
            head, body = wire.answer()
        return head.status, json.loads(body)

    def records(self) -> list[dict[str, Any]]:
        events = map(json.loads, self._log.read_text().splitlines())
        return [event for event in events if event["event"] == "deprecated_call"]

    def has_seen_all(self) -> None:
        """Return once the application has seen what happened to earlier connections."""
        with self.connect(b"GET /-/healthz HTTP/1.1\r\nHost: proxy\r\n\r\n") as wire:
            assert wire.answer().body == b"ok\n"


@contextlib.contextmanager
def served(
    folder: Path, url: str, parser: Any, socket_kind: str, *, as_admin: bool = False, **sections: Any
) -> Iterator[Plain]:
    """Serve the public listener, or the admin listener."""
    log = folder / "callers.jsonl"
    values = {"callers": {"log": str(log)}, "ledger": None, "upstream": {"url": url}, **sections}
    with loopback() as public:
        settings = config.load(None, {}, values)
        listeners = Listeners(public, public if as_admin else None)
        app = application(settings, listeners, Metrics(settings))
        path = str(folder / "socket") if socket_kind == "unix" else None
        server = uvicorn.Server(uvicorn.Config(app, http=parser, uds=path, log_config=None, lifespan="on"))
        thread = threading.Thread(target=server.run, args=([public] if path is None else None,))
        thread.start()
        try:
            until(lambda: server.started)
            yield Plain(path or public.getsockname(), log)
        finally:
            server.should_exit = True
            thread.join()


everywhere = pytest.mark.parametrize(
    ("parser", "kind"), [(p, k) for p in ("h11", "httptools") for k in ("tcp", "unix")]
)


@everywhere
def test_a_trigger_is_translated_and_recorded(upstream: Upstream, tmp_path: Path, parser: str, kind: str) -> None:
    with served(tmp_path, upstream.url, parser, kind) as plain:
        status, body = plain.call(TRIGGER)
        [record] = plain.records()

    assert (status, body["flux_id"], body["trigger_status"]) == (200, "7", "created")
    assert upstream.received[0].target == f"/repos{RUNS}"
    assert json.loads(upstream.received[0].body) == {"workflows": [{"name": "release/prod"}]}
    assert (record["outcome"], record["run"]) == ("forwarded", "7")
    assert record["path"] == "/acme/shop/ci_workflows/release%2Fprod/trigger"
    assert record.get("client_ip") == ("127.0.0.1" if kind == "tcp" else None)
    assert "client_gone" not in record


def test_over_a_unix_socket_the_header_says_who_called(upstream: Upstream, tmp_path: Path) -> None:
    callers = {"log": str(tmp_path / "callers.jsonl"), "trusted_proxies": []}
    with served(tmp_path, upstream.url, "h11", "unix", callers=callers) as plain:
        plain.call(TRIGGER.replace(b"Host: proxy\r\n", b"Host: proxy\r\nX-Forwarded-For: 198.51.100.7\r\n"))
        [record] = plain.records()
    assert record["client_ip"] == "198.51.100.7"


@pytest.mark.parametrize("parser", ["h11", "httptools"])
def test_the_admin_pages_are_served_too(upstream: Upstream, tmp_path: Path, parser: str) -> None:
    ledger = str(tmp_path / "callers.db")
    with served(tmp_path, upstream.url, parser, "tcp", as_admin=True, ledger=ledger) as plain:
        until(lambda: is_created(ledger))
        status, report = plain.call(b"GET /callers.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")

    assert (status, report["callers"]) == (200, [])


@everywhere
def test_a_call_is_passed_through_as_it_arrives(tmp_path: Path, parser: str, kind: str) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        served(tmp_path, "http://{}:{}".format(*listener.getsockname()), parser, kind) as plain,
        plain.connect(b"PUT /a%2Fb//c?x=%2F&x= HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n") as caller,
    ):
        caller.send(chunk(BEGIN))
        with Wire(listener.accept()[0]) as service:
            assert service.head().line == b"PUT /a%2Fb//c?x=%2F&x= HTTP/1.1"
            assert service.chunk() == BEGIN
            caller.send(b"2\r\nde\r\n0\r\n\r\n")
            assert service.chunks() == b"de"
            service.send(b"HTTP/1.1 200 OK\r\nX-A: \xff\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nfg\r\n")
            assert caller.head().all(b"x-a") == [b"\xff"]
            assert caller.chunk() == b"fg"
            service.send(b"0\r\n\r\n")
            assert caller.chunks() == b""


@everywhere
def test_a_refused_call_is_told_what_to_call(upstream: Upstream, tmp_path: Path, parser: str, kind: str) -> None:
    lifecycle = {"deprecated": "2020-01-01", "sunset": "2021-01-01"}
    with served(tmp_path, upstream.url, parser, kind, lifecycle=lifecycle) as plain:
        status, body = plain.call(TRIGGER)
        [record] = plain.records()

    assert (status, body["error_code"]) == (410, "EndpointWithdrawn")
    assert body["details"]["successor"] == f"{upstream.url}/repos{RUNS}"
    assert record["outcome"] == "gone"
    assert upstream.received == []


@everywhere
def test_a_retry_gets_the_run_of_a_caller_that_hung_up(
    upstream: Upstream, tmp_path: Path, parser: str, kind: str
) -> None:
    release = threading.Event()
    upstream.script = held(release)
    with served(tmp_path, upstream.url, parser, kind) as plain:
        with plain.connect(TRIGGER):
            until(lambda: upstream.received)
        plain.has_seen_all()
        release.set()
        [record] = until(plain.records)
        upstream.script = reply(500)
        status, body = plain.call(TRIGGER)

    assert (record["outcome"], record["client_gone"]) == ("forwarded", True)
    assert (status, body["trigger_status"]) == (200, "already_exists")
    assert len(upstream.received) == 1


@everywhere
def test_a_caller_that_hangs_up_ends_its_download(tmp_path: Path, parser: str, kind: str) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        served(tmp_path, "http://{}:{}".format(*listener.getsockname()), parser, kind) as plain,
    ):
        with plain.connect(b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n") as caller:
            service = Wire(listener.accept()[0])
            service.head()
            service.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
            caller.head()
        plain.has_seen_all()
        service.send(b"def")
        assert service.ended()
        service.close()


@everywhere
@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        (b"TRACE /x HTTP/1.1\r\nHost: h\r\n\r\n", 405),
    ],
)
def test_what_the_proxys_own_server_refuses_is_refused(
    upstream: Upstream, tmp_path: Path, parser: str, kind: str, request_: bytes, status: int
) -> None:
    with served(tmp_path, upstream.url, parser, kind) as plain, plain.connect(request_) as caller:
        assert caller.head().status == status
    assert upstream.received == []


# --- the standard scope


def extended(**scope: Any) -> tuple[Scope | None, list[Message]]:
    """The scope that the application gets, and what was sent without it."""
    seen: list[Scope] = []
    sent: list[Message] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    standard = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "query_string": b"",
        "headers": [(b"host", b"h")],
    }
    asyncio.run(AnyServer(app, Budget())({**standard, **scope}, receive, send))
    return (seen[0] if seen else None), sent


@pytest.mark.parametrize(
    ("scope", "target"),
    [
        ({"path": "/a/b"}, b"/a/b"),
        ({"path": "/a b", "raw_path": None, "query_string": b"x=%2F"}, b"/a%20b?x=%2F"),
        ({"path": "/a/b", "raw_path": b"/a%2Fb", "query_string": b"x"}, b"/a%2Fb?x"),
        ({"path": "/a/b", "raw_path": b"/a%2Fb?x", "query_string": b"x"}, b"/a%2Fb?x"),
        ({"path": "/a", "raw_path": b"http://h:80/a", "query_string": b"x"}, b"/a?x"),
    ],
)
def test_the_target_is_found_however_the_server_says_it(scope: dict[str, Any], target: bytes) -> None:
    found, _ = extended(**scope)

    assert found is not None
    head: Head = found["extensions"][EXTENSION]
    assert (head.path, head.target) == (target.partition(b"?")[0], target)
    assert (head.first_values, head.scheme, head.peer) == ({b"host": b"h"}, "http", None)


@pytest.mark.parametrize("scope", [{"path": "*"}, {"path": "x"}, {"path": "/x", "headers": []}, {"http_version": "2"}])
def test_a_request_that_is_not_valid_is_answered_in_the_error_schema(scope: dict[str, Any]) -> None:
    found, [start, body] = extended(**{"path": "/x", **scope})

    assert found is None
    assert start["status"] == 400
    assert json.loads(body["body"])["error_code"] == "InvalidRequest"
