"""The ledger while the proxy serves, and how it ends."""

import contextlib
import os
import signal
import threading
from pathlib import Path

import pytest

from proxy.callers.ledger import engines, keeper
from proxy.callers.ledger.ledger import Ledger
from tests.support.ledgers import stored_calls
from tests.support.proxy import proxy_for
from tests.support.serving import serving
from tests.support.upstream import Upstream, held
from tests.support.waiting import until
from tests.support.workers import two_workers


@pytest.fixture
def address(tmp_path: Path) -> str:
    return str(tmp_path / "callers.db")


def stopped(address: str) -> list[bool]:
    """Of each process in the ledger, whether it was stopped."""
    with contextlib.closing(Ledger(engines.connect(address, is_readonly=True))) as ledger, ledger.content() as content:
        return [life.has_stopped for life in content.lives()]


@pytest.mark.parametrize(("workers", "log"), [(1, "file"), (2, "-")])
def test_the_end_of_each_process_is_counted_before_it_ends(
    upstream: Upstream, tmp_path: Path, address: str, workers: int, log: str
) -> None:
    callers = {"log": str(tmp_path / "callers.jsonl") if log == "file" else log}
    with serving(upstream.url, tmp_path, ledger=address, workers=workers, callers=callers) as running:
        for _ in range(5):
            assert running.proxy.call().status == 200
        running.signal(signal.SIGTERM)
        assert running.exit_status() == 0

    assert stored_calls(address) == 5
    assert stopped(address) == [True] * workers


def test_so_it_is_if_the_stop_is_not_to_wait(upstream: Upstream, tmp_path: Path, address: str) -> None:
    release = threading.Event()
    upstream.script = held(release)
    with serving(upstream.url, tmp_path, ledger=address, workers=2) as running:
        call = running.call()
        assert upstream.arrived.wait(20)
        running.signal(signal.SIGTERM)
        running.wait_until_it_stops_listening()
        running.signal(signal.SIGTERM)
        assert running.exit_status() == 0
        release.set()
        call.join(60)

    assert stored_calls(address) == 1
    assert stopped(address) == [True] * 2


def test_another_worker_counts_if_the_one_that_did_is_killed(upstream: Upstream, tmp_path: Path, address: str) -> None:
    with two_workers(upstream.url, tmp_path, ledger=address) as (running, pids):
        for number, pid in enumerate(pids, 1):
            assert running.proxy.call().status == 200
            until(lambda number=number: stored_calls(address) == number)  # type: ignore[misc]
            os.kill(pid, signal.SIGKILL)
            until(lambda: running.proxy.call("/-/readyz", None, method="GET").status == 200)
        assert running.proxy.call().status == 200
        until(lambda: stored_calls(address) == 3)


def test_a_ledger_that_is_deleted_is_made_again_from_the_log(
    upstream: Upstream, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "INTERVAL", 0.02)
    folder = tmp_path / "ledger"
    address = str(folder / "callers.db")
    with proxy_for(upstream.url, tmp_path, ledger=address) as proxy:
        proxy.call()
        until(lambda: stored_calls(address) == 1)
        folder.rename(tmp_path / "deleted")  # all its files at once: it could be made again between two of them
        proxy.call()
        until(lambda: stored_calls(address) == 2)

    gone, back = (line for line in capfd.readouterr().err.splitlines() if "lost tries" not in line)
    assert gone.startswith(f'trigger-shim: warning: ledger unavailable reason="{address}: ')
    assert back == "trigger-shim: ledger available"


def test_a_log_that_is_a_pipe_is_left_to_its_reader(upstream: Upstream, tmp_path: Path, address: str) -> None:
    pipe = tmp_path / "callers.jsonl"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with proxy_for(upstream.url, tmp_path, ledger=address) as proxy:
        proxy.call()
        until(lambda: stored_calls(address) == 1)
        read = os.read(reader, 1 << 16)
        assert read.count(b'"deprecated_call"') == 1
    os.close(reader)
