"""A reload while workers start, die or hang."""

import os
import signal
from pathlib import Path

import pytest

from proxy import config
from proxy.callers.policy_digest import policy_digest
from tests.gateway.processes.reloading import (
    ENDED,
    MOVED,
    READ,
    REFUSED,
    SUCCESSFUL,
    Reloading,
    one_and_several,
    reloading,
)
from tests.support.upstream import Upstream
from tests.support.waiting import until
from tests.support.workers import is_alive, paused


def test_a_worker_that_gets_the_signal_goes_on(upstream: Upstream, tmp_path: Path) -> None:
    with reloading(upstream, tmp_path, 2) as proxy:
        pids = proxy.pids()
        proxy.file.write_text(proxy.content(lifecycle=ENDED))
        for pid in pids:
            os.kill(pid, signal.SIGHUP)
        for _ in proxy.each():
            assert proxy.statuses("any") == [200]
        assert proxy.pids() == pids


def test_a_worker_that_replaces_another_has_the_policy_in_force(upstream: Upstream, tmp_path: Path) -> None:
    with reloading(upstream, tmp_path, 2) as proxy:
        proxy.reload(callers={"known": [MOVED]})
        proxy.file.write_text("nonsense")
        proxy.running.signal(signal.SIGHUP)
        proxy.said(REFUSED)
        first, second = proxy.pids()
        os.kill(first, signal.SIGKILL)
        until(lambda: not is_alive(first))
        assert second in proxy.pids()
        for _ in proxy.each():
            assert proxy.statuses("moved", "stays") == [410, 200]
            assert proxy.scrape()[SUCCESSFUL] == 0


@one_and_several
def test_heartbeats_show_the_policy_in_force_as_soon_as_it_is(upstream: Upstream, tmp_path: Path, count: int) -> None:
    with reloading(upstream, tmp_path, count) as proxy:
        first, pids = digest(proxy), proxy.pids()
        proxy.reload(lifecycle={"brownouts": [{"from": "2020-01-01T10:00:00Z", "to": "2020-01-01T10:10:00Z"}]})
        proxy.reload(callers={"known": [MOVED]})
        second = digest(proxy)
        assert first != second
        assert shown(proxy) == {pid: [("start", first), ("interval", second)] for pid in pids}
        proxy.reload()
        assert shown(proxy) == {pid: [("start", first), ("interval", second), ("interval", first)] for pid in pids}


def digest(proxy: Reloading) -> str:
    found = config.load(str(proxy.file), {})
    return policy_digest(found.lifecycle, found.callers.known)


def shown(proxy: Reloading) -> dict[int, list[tuple[str, str]]]:
    """When each process wrote a heartbeat, and with which policy."""
    found: dict[int, list[tuple[str, str]]] = {}
    for event in proxy.proxy.events():
        found.setdefault(int(event["instance"].rpartition(":")[2]), []).append((event["at"], event["policy"]))
    return found


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that workers wait for at their start; each of them creates a file while it waits."""
    found = tmp_path / "gate"
    found.touch()
    (tmp_path / "sitecustomize.py").write_text(
        "import os, pathlib, sys, time\nif 'proxy.gateway.processes.worker' in sys.orig_argv:\n"
        f"    while not pathlib.Path({str(found)!r}).exists():\n"
        f"        pathlib.Path({str(tmp_path)!r}, f'{{os.getpid()}}.waits').touch()\n        time.sleep(0.01)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return found


def replaced(proxy: Reloading, gate: Path) -> int:
    """A worker that only just starts in the place of another."""
    gate.unlink()
    os.kill(proxy.pids()[0], signal.SIGKILL)
    [waits] = until(lambda: list(gate.parent.glob("*.waits")))
    return int(waits.stem)


def test_a_worker_that_is_starting_gets_the_new_policy_and_survives_the_signal(
    upstream: Upstream, tmp_path: Path, gate: Path
) -> None:
    # With what it first gets, it takes longer to start than with what it gets then.
    with reloading(upstream, tmp_path, 2, lifecycle={"freeze": "2021-01-01"}) as proxy:
        starting = replaced(proxy, gate)
        os.kill(starting, signal.SIGHUP)
        proxy.file.write_text(proxy.content(callers={"known": [MOVED]}, lifecycle={"freeze": None}))
        proxy.running.signal(signal.SIGHUP)
        until(lambda: proxy.statuses("moved") == [410])  # the other one has it
        gate.touch()
        assert proxy.said()[-1] == f"{READ}known_callers=1 brownouts=0"
        assert starting in proxy.pids()
        for _ in proxy.each():
            assert proxy.statuses("moved", "stays") == [410, 200]


def test_a_worker_that_dies_at_its_start_does_not_hold_up_the_reload(
    upstream: Upstream, tmp_path: Path, gate: Path
) -> None:
    with reloading(upstream, tmp_path, 2) as proxy:
        starting = replaced(proxy, gate)
        proxy.file.write_text(proxy.content(callers={"known": [MOVED]}))
        proxy.running.signal(signal.SIGHUP)
        until(lambda: proxy.statuses("moved") == [410])
        os.kill(starting, signal.SIGKILL)
        assert f"{READ}known_callers=1 brownouts=0" in proxy.said()
        gate.touch()
        for _ in proxy.each():
            assert proxy.statuses("moved", "stays") == [410, 200]


def test_a_worker_that_delays_the_reload_is_named(upstream: Upstream, tmp_path: Path) -> None:
    with reloading(upstream, tmp_path, 2) as proxy:
        first, second = proxy.pids()
        with paused(first):
            proxy.file.write_text(proxy.content(callers={"known": [MOVED]}))
            proxy.running.signal(signal.SIGHUP)
            until(proxy.has_said)
            assert proxy.statuses("moved") == [410]
        waits, verdict = proxy.said()
        assert waits == f"trigger-shim: warning: reload waiting worker={first}"
        assert verdict == f"{READ}known_callers=1 brownouts=0"
        assert proxy.pids() == [first, second]
