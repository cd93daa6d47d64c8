import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client import ProcessCollector

from proxy.config import Config, ConfigError
from proxy.gateway.metrics import FOLDER
from proxy.gateway.processes import service_manager as notify
from proxy.gateway.processes.supervisor import LONGEST_PAUSE, STEADY, Supervisor, next_pause
from proxy.gateway.processes.worker import Work
from proxy.gateway.processes.worker_process import WorkerProcess
from proxy.gateway.server.listeners import Listeners
from tests.support.processes import events, running, shown_lines
from tests.support.scrape import Scrape
from tests.support.serving import Serving, command
from tests.support.upstream import Upstream, held
from tests.support.waiting import PATIENCE, until
from tests.support.workers import is_alive, paused, two_workers, workers

CURRENT = "/repos/acme/shop/cicd/runs"


def folder_of(pid: int) -> Path:
    """Where a worker counts."""
    variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    found = next(value for name, _, value in (v.partition(b"=") for v in variables) if name == FOLDER.encode())
    return Path(os.fsdecode(found))


def start_of(pid: int) -> float:
    """When a process was started, in Unix seconds."""
    found = {metric.name: metric for metric in ProcessCollector(pid=lambda: pid, registry=None).collect()}
    return found["process_start_time_seconds"].samples[0].value


def said(running: Serving, count: int) -> list[str]:
    """Lines on the terminal after the announcement."""
    text = b""
    while len(lines := shown_lines(text.rpartition(b"\n")[0])) < count:
        text += os.read(running.terminal, 4096)
    return lines


def totals(scrape: Scrape) -> dict[Any, float]:
    """All that is counted, but for what is only of a moment.

    The connection of the scrape before may still be closing. What is sampled once a second may be of the middle of a
    call, in a worker that was paused before the next time.
    """
    of_a_moment = {f"trigger_shim_{name}" for name in ("connections", "upstream_connections", "buffered_bytes")}
    return {key: value for key, value in scrape.samples.items() if key[0] not in of_a_moment}


def test_every_worker_tells_the_same_totals_which_are_those_of_the_log(upstream: Upstream, tmp_path: Path) -> None:
    with two_workers(upstream.url, tmp_path) as (running, (first, second)):
        for pid, times in ((first, 2), (second, 3)):
            with paused(pid):
                for _ in range(times):
                    running.proxy.call()
                    running.proxy.call(body=b"[]")
                running.proxy.call(CURRENT, None, method="GET")
        with paused(first):
            one = Scrape(running.admin)
        with paused(second):
            other = Scrape(running.admin)
        assert totals(one) == totals(other)
        assert one["workers"] == 2
        assert one.samples["process_start_time_seconds", frozenset()] == start_of(running.process.pid)
        passed = {("pass_through", "forwarded", "2xx"): 2}
        assert one.calls() == {**running.proxy.called(), **passed}
        assert sum(one.calls().values()) == 12
        assert one["caller_log_records_total"] == len(running.proxy.events())
        assert one.value("call_duration_seconds_count", endpoint="trigger") == 10
        running.signal(signal.SIGTERM)
        assert running.exit_status() == 0


def test_metrics_that_are_empty_or_missing_break_no_worker(upstream: Upstream, tmp_path: Path) -> None:
    with two_workers(upstream.url, tmp_path) as (running, pids):
        running.proxy.call()
        answer = running.admin.call("/metrics", None, {"Accept": "application/openmetrics-text"}, "GET")
        assert answer.body.endswith(b"# EOF\n")
        assert b"\ntrigger_shim_calls_total{" in answer.body
        (folder_of(pids[0]) / "counter_2.db").touch()
        assert sum(Scrape(running.admin).calls().values()) == 1
        shutil.rmtree(folder_of(pids[0]))
        answer = running.admin.call("/metrics", None, method="GET")
        assert answer.status == 500
        _, path, reason = answer.body.decode().strip().split(": ")
        assert said(running, 1) == [
            f'trigger-shim: error: metrics unavailable path={path} reason="{reason}"',
        ]
        assert running.proxy.call().status == 200


def test_a_worker_that_is_killed_is_named_and_replaced_and_no_counter_goes_back(
    upstream: Upstream, tmp_path: Path
) -> None:
    release = threading.Event()
    with two_workers(upstream.url, tmp_path) as (running, (first, second)):
        with paused(second):
            for _ in range(3):
                running.proxy.call()
            upstream.script = held(release)
            running.call()
            until(lambda: len(upstream.received) == 4)
            before = Scrape(running.admin)
            assert before.value("calls_in_flight", kind="withdrawn") == 1
            os.kill(first, signal.SIGKILL)
        [line] = said(running, 1)
        assert line.startswith(f'trigger-shim: warning: worker ended worker={first} reason="was ended by SIGKILL" ')
        upstream.script = lambda connection: connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        pids = until(lambda: workers(running.proxy, 2))
        assert first not in pids
        [third] = set(pids) - {second}
        with paused(second):
            after = Scrape(running.admin)
            assert after.value("calls_in_flight", kind="withdrawn") == 0
            assert after["workers"] == 2
            for key, value in before.samples.items():
                if key[0].endswith(("_total", "_count", "_sum", "_bucket")):
                    assert after.samples[key] >= value, key
            assert after["caller_log_records_total"] == len(running.proxy.events())
            running.proxy.call(CURRENT, None, method="GET")
        with paused(third):
            more = {("trigger", "interrupted", "5xx"): 1, ("pass_through", "forwarded", "2xx"): 1}
            assert Scrape(running.admin).calls() == {**before.calls(), **more}
        release.set()


def by_ctrl_c(supervisor: int, _workers: list[int]) -> None:
    os.killpg(supervisor, signal.SIGINT)  # as a terminal does, to all that run in it


def by_a_manager_that_signals_all(supervisor: int, workers: list[int]) -> None:
    for pid in (*workers, supervisor):
        os.kill(pid, signal.SIGTERM)


@pytest.mark.parametrize("stop", [by_ctrl_c, by_a_manager_that_signals_all])
def test_a_signal_while_the_workers_start_is_a_clean_stop(
    tmp_path: Path, stop: Callable[[int, list[int]], None]
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, pathlib, sys, time\nif 'proxy.gateway.processes.worker' in sys.orig_argv:\n"
        f"    pathlib.Path({str(tmp_path)!r}, f'{{os.getpid()}}.started').touch()\n"
        f"    while not pathlib.Path({str(tmp_path / 'go')!r}).exists(): time.sleep(0.01)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), notify.ADDRESS: str(tmp_path / "notify")}
    arguments = command("http://upstream.example", tmp_path, workers=2)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, contextlib.ExitStack() as end:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE)
        started = subprocess.Popen(arguments, stderr=subprocess.PIPE, process_group=0, env=environment)
        process = end.enter_context(running(started))
        files = until(lambda: len(found := list(tmp_path.glob("*.started"))) == 2 and found)
        stop(process.pid, [int(file.stem) for file in files])
        # A worker that went on before the supervisor has its signal would end for no reason that this one knows.
        assert manager.recv(100) == b"STOPPING=1"
        (tmp_path / "go").touch()
        assert events(process.communicate(timeout=60)[1]) == []
        assert process.returncode == 0


def test_a_signal_lets_the_calls_under_way_end(upstream: Upstream, tmp_path: Path) -> None:
    number = signal.SIGTERM  # of SIGINT, see the test before and tests/gateway/server/test_server.py
    release = threading.Event()
    upstream.script = held(release)
    with two_workers(upstream.url, tmp_path) as (running, pids):
        calls = []
        for count, pid in enumerate(pids, 1):
            with paused(pid):
                calls.append(running.call())
                until(lambda count=count: len(upstream.received) == count)  # type: ignore[misc]
        counting = folder_of(pids[0])
        # A service manager signals each process, too.
        for pid in pids:
            os.kill(pid, number)
        running.signal(number)
        running.wait_until_it_stops_listening()
        release.set()
        assert [answer.status for call in calls if (answer := call.answer())] == [200, 200]
        assert running.exit_status() == 0
        assert [record["outcome"] for record in running.proxy.records()] == ["forwarded", "forwarded"]
        assert [event["at"] for event in running.proxy.events() if event["event"] == "heartbeat"][-2:] == ["stop"] * 2
        assert not counting.exists()
        assert not any(map(is_alive, pids))


def test_a_second_signal_ends_it_at_once(upstream: Upstream, tmp_path: Path) -> None:
    release = threading.Event()
    upstream.script = held(release)
    with two_workers(upstream.url, tmp_path, limits={"drain": 300}) as (running, _):
        call = running.call()
        assert upstream.arrived.wait(20)
        running.signal(signal.SIGTERM)
        running.wait_until_it_stops_listening()
        running.signal(signal.SIGTERM)
        assert running.exit_status() == 0
        call.answer()
        assert [record["outcome"] for record in running.proxy.records()] == ["interrupted"]
    release.set()


def test_no_worker_outlives_a_supervisor_that_is_killed(upstream: Upstream, tmp_path: Path) -> None:
    release = threading.Event()
    upstream.script = held(release)
    with two_workers(upstream.url, tmp_path) as (running, pids):
        counting = folder_of(pids[0])
        call = running.call()
        assert upstream.arrived.wait(20)
        running.process.kill()
        running.wait_until_it_stops_listening()
        release.set()
        answer = call.answer()
        assert answer is not None
        assert answer.status == 200
        until(lambda: not any(map(is_alive, pids)))
        assert not counting.exists()


def test_a_worker_that_does_not_end_in_time_is_killed(upstream: Upstream, tmp_path: Path) -> None:
    with two_workers(upstream.url, tmp_path, limits={"drain": 0.1}) as (running, (first, _)):
        os.kill(first, signal.SIGSTOP)
        running.signal(signal.SIGTERM)
        assert running.exit_status() == 1
        assert said(running, 1) == [
            "trigger-shim: error: serve failed: workers that did not end in time, and were killed: 1",
        ]
        assert not is_alive(first)


def test_the_pause_before_a_worker_is_replaced_grows_while_they_die_early() -> None:
    pauses = [0.0]
    for _ in range(7):
        pauses.append(next_pause(pauses[-1], lived=STEADY - 1))
    assert pauses == [0, 1, 2, 4, 8, 16, LONGEST_PAUSE, LONGEST_PAUSE]
    assert next_pause(LONGEST_PAUSE, lived=STEADY) == 0


class Adopter:
    """A worker that may refuse configurations."""

    def __init__(self, refused: Config | None = None) -> None:
        self.pid = 1
        self.in_force: Config | None = None
        self._refused = refused

    async def adopt(self, config: Config) -> str | None:
        if config is self._refused:
            return "it cannot be used"
        self.in_force = config
        return None

    def __str__(self) -> str:
        return "worker"


class Replacement(Adopter):
    """A worker whose start takes as long as a test likes, and that ends with the test.

    Args:
        monkeypatch: has it take the place of the worker that is started.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.begins = asyncio.Event()
        self.may_start = asyncio.Event()
        monkeypatch.setattr(WorkerProcess, "start", self._start)

    async def _start(self, work: Work) -> "Replacement":
        self.begins.set()
        await self.may_start.wait()
        self.in_force = work.config
        return self

    async def problem(self) -> None:
        return None

    async def end(self) -> str:
        return await asyncio.Future()


class Hesitant(Adopter):
    """A worker that refuses a configuration as soon as another is started."""

    def __init__(self, refused: Config, other: Replacement) -> None:
        super().__init__(refused)
        self._other = other

    async def adopt(self, config: Config) -> str | None:
        if config is self._refused:
            self._other.may_start.set()
            await self._other.begins.wait()
        return await super().adopt(config)


def supervisor_of(config: Config, *adopters: Adopter) -> Supervisor:
    """A supervisor without sockets, whose workers are these."""
    supervisor = Supervisor(config, cast("Listeners", SimpleNamespace(sockets=[])))
    supervisor._folder = ""
    supervisor._workers = cast("dict[int, WorkerProcess]", dict(enumerate(adopters)))
    return supervisor


def test_a_configuration_that_one_worker_refuses_is_in_force_in_none() -> None:
    before, after = Config(), Config(workers=2)
    adopters = Adopter(), Adopter(refused=after)
    supervisor = supervisor_of(before, *adopters)
    with pytest.raises(ConfigError) as refused:
        asyncio.run(supervisor.adopt(after))
    assert refused.value.problems == ["worker: it cannot be used"]
    assert supervisor._config is before
    assert [adopter.in_force for adopter in adopters] == [before, before]


def test_a_worker_that_starts_during_a_reload_gets_its_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = Config(), Config(workers=2)

    async def reload() -> Config | None:
        replacement = Replacement(monkeypatch)
        supervisor = supervisor_of(before, Adopter())
        slot = asyncio.create_task(supervisor._run_slot(1))
        await replacement.begins.wait()
        adoption = asyncio.create_task(supervisor.adopt(after))
        await asyncio.sleep(0)  # the reload begins
        replacement.may_start.set()
        await adoption
        slot.cancel()
        return replacement.in_force

    assert asyncio.run(reload()) is after


def test_a_worker_that_starts_with_what_another_refuses_does_not_keep_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = Config(), Config(workers=2)

    async def reload() -> Config | None:
        replacement = Replacement(monkeypatch)
        supervisor = supervisor_of(before, Hesitant(after, replacement))
        adoption = asyncio.create_task(supervisor.adopt(after))
        await asyncio.sleep(0)  # the reload begins
        slot = asyncio.create_task(supervisor._run_slot(1))
        with pytest.raises(ConfigError):
            await adoption
        slot.cancel()
        return replacement.in_force

    assert asyncio.run(reload()) is before


def test_a_stop_that_comes_before_a_worker_may_start_has_none_start(monkeypatch: pytest.MonkeyPatch) -> None:
    async def stop() -> bool:
        replacement = Replacement(monkeypatch)
        replacement.may_start.set()
        supervisor = supervisor_of(Config())
        await supervisor._starting.acquire()
        slot = asyncio.create_task(supervisor._run_slot(0))
        await asyncio.sleep(0)  # it waits for its turn
        supervisor._stopping.set()
        supervisor._starting.release()
        await asyncio.wait([slot])
        return replacement.begins.is_set()

    assert not asyncio.run(stop())
