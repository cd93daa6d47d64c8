"""What the proxy uses of its libraries beyond what they document.

Each test names one such thing, and what depends on it. `pyproject.toml` bounds these libraries from above. When a test
fails after a bound was raised, the code that it names has to follow the library.
"""

import asyncio
import contextlib
import inspect
import logging
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httptools
import prometheus_client
import pytest
import uvicorn
import uvloop
from prometheus_client import values
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from proxy.gateway.metrics import FOLDER
from proxy.gateway.server.tls import Context, Session
from tests.support.certificates import certified


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "lifespan"
    await receive()
    scope["state"]["connected"] = print
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("run", ["self", "sockets"]),
        ("startup", ["self", "sockets"]),
        ("main_loop", ["self"]),
        ("shutdown", ["self", "sockets"]),
        ("capture_signals", ["self"]),
    ],
)
def test_uvicorns_server_has_the_methods_that_ours_overrides(method: str, parameters: list[str]) -> None:
    found = inspect.signature(getattr(uvicorn.Server, method)).parameters
    assert list(found) == parameters, "proxy.gateway.server.server overrides or calls this method"


def test_uvicorns_server_calls_them_in_this_order_and_opens_no_socket_of_its_own() -> None:
    called: list[str] = []

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            called.append(f"startup {sockets}")
            await super().startup([])
            called.append(f"started {self.started}, {len(self.servers)} sockets, {list(self.lifespan.state)}")

        async def main_loop(self) -> None:
            called.append("main_loop")

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            called.append(f"shutdown {sockets}")
            await self.lifespan.shutdown()

    Server(uvicorn.Config(application, lifespan="on", log_config=None, loop="asyncio")).run([])
    assert called == [
        "startup []",
        "started True, 0 sockets, ['connected']",
        "main_loop",
        "shutdown []",
    ], "proxy.gateway.server.server overrides these methods"


def test_starlettes_router_can_be_told_not_to_redirect() -> None:
    assert Starlette().router.redirect_slashes is True, "the admin pages turn it off"


def test_uvicorn_logs_the_failure_of_the_application_to_this_logger(caplog: pytest.LogCaptureFixture) -> None:
    async def fails(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise RuntimeError

    settings = uvicorn.Config(fails, lifespan="on", log_config=None, loop="asyncio")
    with caplog.at_level(logging.ERROR, "uvicorn.error"), pytest.raises(SystemExit):
        uvicorn.Server(settings).run([])
    assert {record.name for record in caplog.records} == {"uvicorn.error"}, "Server shows its messages"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in which the metrics of a process "7" are counted."""
    monkeypatch.setenv(FOLDER, str(tmp_path))
    with counting_as(7):
        yield tmp_path


@contextlib.contextmanager
def counting_as(process: int) -> Iterator[None]:
    files: Any = values.MultiProcessValue(lambda: process)  # type: ignore[no-untyped-call]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(values, "ValueClass", files)
        yield
    files.close_all_files()


def counted(folder: Path) -> dict[str, float]:
    metrics = MultiProcessCollector.merge(map(str, folder.iterdir()))  # type: ignore[no-untyped-call]
    return {sample.name: sample.value for metric in metrics for sample in metric.samples}


def test_prometheus_client_counts_in_files_with_the_name_that_it_is_given(folder: Path) -> None:
    prometheus_client.Counter("calls", "Calls.", registry=None).inc()
    prometheus_client.Gauge("workers", "Workers.", registry=None, multiprocess_mode="livesum").set(1)
    assert {file.name for file in folder.iterdir()} == {"counter_7.db", "gauge_livesum_7.db"}
    assert counted(folder) == {"calls_total": 1, "workers": 1}, "Metrics and its collector of all workers"


def test_prometheus_client_continues_the_counts_in_a_file(folder: Path) -> None:
    for _ in range(2):
        with counting_as(7):
            prometheus_client.Counter("calls", "Calls.", registry=None).inc()
    assert counted(folder) == {"calls_total": 2}, "a worker that replaces another continues its counts"


def test_prometheus_client_drops_the_live_gauges_of_a_process_in_a_folder(folder: Path) -> None:
    prometheus_client.Counter("calls", "Calls.", registry=None).inc()
    prometheus_client.Gauge("workers", "Workers.", registry=None, multiprocess_mode="livesum").set(1)
    mark_process_dead(7, str(folder))  # type: ignore[no-untyped-call]
    assert counted(folder) == {"calls_total": 1}, "metrics.worker_ended"


def test_prometheus_client_still_fails_on_an_empty_file(folder: Path) -> None:
    (folder / "counter_7.db").touch()
    collector = MultiProcessCollector(None, str(folder))  # type: ignore[no-untyped-call]
    with pytest.raises(Exception, match="4 bytes"):  # once it does not, metrics can use this collector itself
        collector.collect()  # type: ignore[no-untyped-call]


def test_prometheus_client_counts_in_memory_where_it_is_told_to(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "ValueClass", values.MutexValue)
    prometheus_client.Counter("calls", "Calls.", registry=None).inc()
    assert list(folder.iterdir()) == [], "a single process shares no folder, whatever the environment says"


def test_prometheus_client_chooses_a_format() -> None:
    encode, media_type = choose_encoder("application/openmetrics-text")
    assert encode(prometheus_client.CollectorRegistry()) == b"# EOF\n", "Metrics.exposition"
    assert media_type.startswith("application/openmetrics-text")


def test_prometheus_client_names_the_start_of_a_process() -> None:
    found = {metric.name for metric in prometheus_client.ProcessCollector(pid=os.getpid, registry=None).collect()}
    assert "process_start_time_seconds" in found, "Metrics shows the start of the supervisor"


class Callbacks:
    def __init__(self) -> None:
        self.called: list[str] = []

    def on_message_complete(self) -> None:
        self.called.append("complete")

    def on_url(self, url: bytes) -> None:
        if url == b"/raise":
            raise LookupError


UPGRADE = b"POST / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\n"


def test_httptools_says_where_an_upgrade_begins_and_skips_the_body() -> None:
    callbacks = Callbacks()
    parser = httptools.HttpRequestParser(callbacks)
    with pytest.raises(httptools.HttpParserUpgrade) as upgrade:
        parser.feed_data(UPGRADE + b"abc")
    assert upgrade.value.args == (len(UPGRADE),), "RequestParser parses the body with another parser"
    assert (callbacks.called, parser.should_upgrade()) == (["complete"], True)


def test_httptools_keeps_what_a_callback_raised() -> None:
    with pytest.raises(httptools.HttpParserCallbackError) as error:
        httptools.HttpRequestParser(Callbacks()).feed_data(b"GET /raise HTTP/1.1\r\n\r\n")
    assert isinstance(error.value.__context__, LookupError), "RequestParser raises it again"


def test_a_connection_of_multiprocessing_is_made_of_a_descriptor() -> None:
    ours, theirs = Pipe()
    ours.send("order")
    connection: Connection[Any, Any] = Connection(os.dup(theirs.fileno()))
    assert connection.recv() == "order", "a worker talks to its supervisor"
    for one in (ours, theirs, connection):
        one.close()


class End(asyncio.Protocol):
    """One end of a connection over TLS."""

    transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_the_event_loop_shows_what_it_does_for_tls(
    tmp_path: Path, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    tls, trusting = certified(tmp_path)
    context = Context(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls["certificate"], tls["key"])

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        one, other = socket.socketpair()
        server = End()
        accepting = asyncio.create_task(loop.connect_accepted_socket(lambda: server, one, ssl=context))
        client, _ = await loop.create_connection(End, sock=other, ssl=trusting, server_hostname="127.0.0.1")
        await accepting
        protocol = client.get_extra_info("uvloop.sslproto") or getattr(client, "_ssl_protocol", None)
        assert protocol is not None, "an upstream connection reads what arrived before it broke"
        assert callable(protocol.get_buffer)
        assert callable(protocol.buffer_updated)
        assert server.transport is not None
        assert isinstance(server.transport.get_extra_info("ssl_object"), Session), "callers may half-close TLS"
        client.abort()
        server.transport.abort()  # type: ignore[attr-defined]
        await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(asyncio.wait_for(scenario(), 20))
