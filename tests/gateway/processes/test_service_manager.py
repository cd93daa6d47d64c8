import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.gateway.processes import service_manager as notify
from tests.support.serving import Serving, command, serving
from tests.support.upstream import Upstream, held
from tests.support.waiting import until
from tests.support.workers import paused, two_workers, workers


class Manager:
    """A service manager, as far as it listens."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener

    def hears(self) -> str:
        """The next message, once it is there."""
        self._listener.settimeout(20)
        return self._listener.recv(4096).decode()

    def heard(self) -> list[str]:
        """All messages that are there and were not taken yet."""
        found = []
        self._listener.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(self._listener.recv(4096).decode())
        return found


@contextlib.contextmanager
def listening(address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    """A service manager, whose address the proxy knows."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address.replace("@", "\0"))
        monkeypatch.setenv(notify.ADDRESS, address)
        yield Manager(listener)


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    with tempfile.TemporaryDirectory() as folder, listening(f"{folder}/notify", monkeypatch) as found:
        yield found


def test_a_manager_may_listen_in_the_abstract_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(f"@trigger-shim-test-{os.getpid()}", monkeypatch) as manager:
        notify.ready()
        assert manager.hears() == "READY=1"


def reloads(manager: Manager, running: Serving, folder: Path) -> None:
    """Reload a good file and a bad one; of both it is told when they are over."""
    for content in ((folder / "config.yaml").read_text(), "listen: nowhere"):
        (folder / "config.yaml").write_text(content)
        running.signal(signal.SIGHUP)
        assert manager.hears().startswith("RELOADING=1\n")
        assert manager.hears() == "READY=1"


def test_a_single_process_reports_when_it_serves_reloads_and_stops(
    manager: Manager, upstream: Upstream, tmp_path: Path
) -> None:
    release = threading.Event()
    upstream.script = held(release)
    with serving(upstream.url, tmp_path) as running:
        assert manager.hears() == "READY=1"
        reloads(manager, running, tmp_path)
        under_way = running.call()
        until(lambda: upstream.received)
        running.signal(signal.SIGTERM)
        assert manager.hears() == "STOPPING=1"
        release.set()
        answer = under_way.answer()
        assert answer is not None
        assert answer.status == 200
        assert running.exit_status() == 0
    assert manager.heard() == []


def test_the_supervisor_reports_ready_once_all_workers_serve_and_after_a_reload(
    manager: Manager, upstream: Upstream, tmp_path: Path
) -> None:
    with serving(upstream.url, tmp_path, workers=2) as running:
        assert manager.hears() == "READY=1"
        begun = [event for event in running.proxy.events() if event.get("at") == "start"]
        assert len(begun) == 2
        reloads(manager, running, tmp_path)
        running.signal(signal.SIGTERM)
        assert manager.hears() == "STOPPING=1"
        assert running.exit_status() == 0
    assert manager.heard() == []


def test_a_replaced_worker_is_not_reported_as_a_start(manager: Manager, upstream: Upstream, tmp_path: Path) -> None:
    with two_workers(upstream.url, tmp_path) as (running, (first, second)):
        assert manager.hears() == "READY=1"
        os.kill(first, signal.SIGKILL)
        until(lambda: set(workers(running.proxy, 2)) - {first, second})
        running.signal(signal.SIGTERM)
        assert running.exit_status() == 0
    assert manager.heard() == ["STOPPING=1"]


def test_a_proxy_that_cannot_start_says_nothing(manager: Manager, upstream: Upstream, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        taken_address = "{}:{}".format(*taken.getsockname())
        ran = subprocess.run(command(upstream.url, tmp_path, listen=taken_address), check=False, capture_output=True)
    assert ran.returncode == 1
    assert manager.heard() == []


def test_a_reload_ends_ready_however_it_went(manager: Manager) -> None:
    with contextlib.suppress(ZeroDivisionError), notify.reloading():
        begun = manager.hears().split("\n")
        assert begun[0] == "RELOADING=1"
        assert begun[1].removeprefix("MONOTONIC_USEC=").isdigit()
        assert manager.heard() == []
        raise ZeroDivisionError
    assert manager.hears() == "READY=1"


@pytest.mark.parametrize("address", [None, "", "vsock:2:1234", "/nowhere/notify", "@nobody-listens-here"])
def test_without_a_manager_nothing_happens(address: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if address is None:
        monkeypatch.delenv(notify.ADDRESS, raising=False)
    else:
        monkeypatch.setenv(notify.ADDRESS, address)
    notify.ready()
    notify.stopping()


def test_a_manager_that_no_longer_listens_stops_nothing(manager: Manager) -> None:
    def tell() -> None:
        for _ in range(10_000):  # more than its queue takes
            notify.ready()

    telling = threading.Thread(target=tell, daemon=True)
    telling.start()
    telling.join(20)
    assert not telling.is_alive()
    assert manager.hears() == "READY=1"


@pytest.mark.parametrize("count", [1, 2])
def test_a_watchdog_hears_that_the_main_process_is_alive(
    upstream: Upstream, tmp_path: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    with serving(upstream.url, tmp_path, workers=count) as running:
        while manager.hears() != "READY=1":
            pass
        for _ in range(3):
            assert manager.hears() == "WATCHDOG=1"
        with paused(running.process.pid):
            manager.heard()
            assert manager.heard() == []


def test_a_watchdog_of_another_process_hears_nothing(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    notify.stay_alive()
    assert manager.heard() == []
