import contextlib
import functools
import http.client
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from proxy.gateway.server import listeners, protocol, server
from proxy.gateway.server.listeners import ServeError
from tests.support.certificates import certified
from tests.support.processes import events, shown_lines
from tests.support.proxy import HEAD, TRIGGER, Proxy, proxy_for
from tests.support.serving import Serving, command, serving
from tests.support.upstream import Upstream, held
from tests.support.waiting import PATIENCE, until
from tests.support.wire import Wire, reset_on_close


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_calls_under_way_end(upstream: Upstream, tmp_path: Path, number: signal.Signals) -> None:
    release = threading.Event()
    upstream.script = held(release)
    with serving(upstream.url, tmp_path) as running:
        call = running.call()
        assert upstream.arrived.wait(20)
        running.signal(number)
        running.wait_until_it_stops_listening()
        release.set()
        answer = call.answer()
        assert (answer.status if answer else None) == 200
        assert running.exit_status() == 0
        assert [record["outcome"] for record in running.proxy.records()] == ["forwarded"]
        assert running.proxy.events()[-1]["at"] == "stop"


def printed(running: Serving) -> list[str]:
    """The lines that a proxy has printed by its end."""
    shown = bytearray()
    with contextlib.suppress(OSError):  # how a terminal ends
        while piece := os.read(running.terminal, 4096):
            shown += piece
    return shown_lines(bytes(shown))


def readiness(proxy: Proxy) -> int:
    return proxy.call("/-/readyz", None, method="GET").status


@pytest.mark.parametrize("workers", [1, 2])
def test_during_the_drain_delay_it_is_not_ready_but_accepts_calls(
    upstream: Upstream, tmp_path: Path, workers: int
) -> None:
    with serving(upstream.url, tmp_path, workers=workers, limits={"drain_delay": 300}) as running:
        until(lambda: readiness(running.proxy) == 200)
        running.signal(signal.SIGTERM)
        until(lambda: readiness(running.proxy) == 503)
        assert running.proxy.call().status == 200
        running.signal(signal.SIGTERM)
        assert running.exit_status() == 0
        assert [record["outcome"] for record in running.proxy.records()] == ["forwarded"]


def test_after_the_drain_delay_the_calls_under_way_still_end(upstream: Upstream, tmp_path: Path) -> None:
    release = threading.Event()
    upstream.script = held(release)
    with serving(upstream.url, tmp_path, limits={"drain_delay": 0.2}) as running:
        call = running.call()
        assert upstream.arrived.wait(20)
        running.signal(signal.SIGTERM)
        running.wait_until_it_stops_listening()
        release.set()
        answer = call.answer()
        assert (answer.status if answer else None) == 200
        assert running.exit_status() == 0


def test_a_second_signal_ends_it_at_once_and_the_record_says_so(upstream: Upstream, tmp_path: Path) -> None:
    release = threading.Event()
    upstream.script = held(release)
    with serving(upstream.url, tmp_path, limits={"drain": 300}) as running:
        call = running.call()
        assert upstream.arrived.wait(20)
        running.signal(signal.SIGTERM)
        running.wait_until_it_stops_listening()
        running.signal(signal.SIGTERM)
        assert running.exit_status() == 0
        call.answer()
        assert [record["outcome"] for record in running.proxy.records()] == ["interrupted"]
        assert running.proxy.events()[-1]["at"] == "stop"
    release.set()


def test_a_call_that_outlasts_the_drain_is_cut_off_and_recorded(upstream: Upstream, tmp_path: Path) -> None:
    release = threading.Event()
    upstream.script = held(release)
    with serving(upstream.url, tmp_path, limits={"drain": 0.1}) as running:
        call = running.call()
        assert upstream.arrived.wait(20)
        running.signal(signal.SIGTERM)
        assert running.exit_status() == 0
        call.answer()
        assert [record["outcome"] for record in running.proxy.records()] == ["interrupted"]
        assert any("calls cut off calls=1" in line for line in printed(running))
    release.set()


def test_a_stop_waits_for_a_call_whose_caller_has_left(upstream: Upstream, tmp_path: Path) -> None:
    release = threading.Event()
    upstream.script = held(release)
    with serving(upstream.url, tmp_path) as running:
        caller = running.proxy.wire()
        caller.send(f"{HEAD}Content-Length: 2\r\n\r\n{{}}".encode())
        assert upstream.arrived.wait(20)
        caller.reset()
        running.proxy.has_read()
        running.signal(signal.SIGTERM)
        running.wait_until_it_stops_listening()
        release.set()
        assert running.exit_status() == 0
        assert [record["outcome"] for record in running.proxy.records()] == ["forwarded"]


def test_time_limits_hold_while_it_stops(monkeypatch: pytest.MonkeyPatch, upstream: Upstream, tmp_path: Path) -> None:
    monkeypatch.setattr(server, "TICK", 0.01)
    monkeypatch.setattr(protocol, "BODY_TIMEOUT", 0.1)
    monkeypatch.setattr(server, "background", functools.partial(server.background, drain=2 * PATIENCE))
    with contextlib.ExitStack() as callers:
        with proxy_for(upstream.url, tmp_path) as proxy:
            callers.enter_context(proxy.wire(f"{HEAD}Content-Length: 9\r\n\r\n{{}}".encode()))
            proxy.has_read()  # by a call without a body, which could be late
            stopping = time.monotonic()
        assert time.monotonic() - stopping < PATIENCE  # half of what it would wait


def test_an_answer_after_the_signal_is_the_last_on_its_connection(upstream: Upstream, tmp_path: Path) -> None:
    release = threading.Event()
    upstream.script = held(release)
    with serving(upstream.url, tmp_path) as running:
        caller = running.proxy.wire(f"{HEAD}Content-Length: 2\r\n\r\n{{}}".encode())
        assert upstream.arrived.wait(20)
        running.signal(signal.SIGTERM)
        running.wait_until_it_stops_listening()
        release.set()
        answer = caller.answer()
        assert (answer.status, answer.header("connection"), caller.rest()) == (200, "close", b"")
        caller.close()
        assert running.exit_status() == 0


def test_a_caller_that_hung_up_before_it_was_accepted_does_no_harm(upstream: Upstream, tmp_path: Path) -> None:
    with serving(upstream.url, tmp_path) as running:
        running.signal(signal.SIGSTOP)
        for sent in (b"", f"{HEAD}Content-Length: 2\r\n\r\n{{}}".encode()):
            connection = running.proxy.connect()
            connection.sendall(sent)
            reset_on_close(connection)
            connection.close()
        running.signal(signal.SIGCONT)
        assert running.proxy.call().status == 200
        running.signal(signal.SIGTERM)
        assert running.exit_status() == 0
        assert printed(running) == []


def test_https_is_served_where_a_certificate_is_given(upstream: Upstream, tmp_path: Path) -> None:
    tls, trusting = certified(tmp_path)
    with serving(upstream.url, tmp_path, tls=tls) as running:
        assert running.announced[0].startswith("trigger-shim: listening url=https://127.0.0.1:")
        connection = http.client.HTTPSConnection("127.0.0.1", running.proxy.port, context=trusting, timeout=20)
        with contextlib.closing(connection):
            for _ in range(2):
                connection.request("POST", TRIGGER, b"{}")
                assert connection.getresponse().read().startswith(b'{"flux_id":"7"')
        with Wire(trusting.wrap_socket(running.proxy.connect(), server_hostname="127.0.0.1")) as raw:
            raw.send(b"nonsense\r\n\r\n")
            assert raw.answer().status == 400
        with running.proxy.wire(b"GET / HTTP/1.1\r\n\r\n") as plain:  # by mistake
            assert plain.answer().status == 400
        running.signal(signal.SIGTERM)
        assert running.exit_status() == 0
    assert upstream.received[0].all("x-forwarded-proto") == ["https"]


def test_a_certificate_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    broken = tmp_path / "certificate.pem"
    broken.write_text("nonsense")
    arguments = command("http://upstream.example", tmp_path, tls={"certificate": str(broken), "key": str(broken)})
    ended = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode != 0
    [failed] = events(ended.stderr)
    assert failed["message"].startswith("tls: ")


def test_an_application_that_cannot_start_is_an_error_in_the_background() -> None:
    async def fails(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise RuntimeError

    with pytest.raises(ServeError), server.background(fails, listeners.loopback()):
        pass


def test_a_message_of_uvicorn_is_an_event_without_its_traceback() -> None:
    async def fails(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "lifespan.startup.failed", "message": "Traceback:\n  File x\nOSError: no disk\n"})

    with capture_logs() as events, pytest.raises(ServeError), server.background(fails, listeners.loopback()):
        pass
    assert events[0] == {"event": "server_message", "message": "OSError: no disk", "log_level": "error"}
