import asyncio
import contextlib
import http.client
import json
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from proxy import config
from proxy.config import Config
from proxy.gateway.metrics import Metrics
from proxy.gateway.processes.reload import Reload, needing_restart
from tests.support.processes import events, running
from tests.support.proxy import TRIGGER, Proxy
from tests.support.scrape import Scrape
from tests.support.serving import Serving, command, serving
from tests.support.upstream import Upstream, held
from tests.support.waiting import until
from tests.support.wire import Answer
from tests.support.workers import is_alive, paused, workers

READ = "trigger-shim: configuration reloaded "
REFUSED = "trigger-shim: error: reload refused: "
ENDED = {"deprecated": "2019-01-01", "sunset": "2020-01-01"}
MOVED = {"name": "moved", "agent": "moved/*", "migrated": "2020-01-01"}
STAYS = {"name": "stays", "agent": "stays/*"}

SUCCESSFUL = "config_last_reload_successful"
SUCCESS = "config_last_reload_success_timestamp_seconds"


class Reloading:
    """A proxy in another process, with a configuration file that a test changes."""

    def __init__(self, running: Serving, folder: Path, count: int) -> None:
        self.running = running
        self.proxy = running.proxy
        self.file = folder / "config.yaml"
        self.first: dict[str, Any] = yaml.safe_load(self.file.read_text())
        self._count = count
        self._said = b""

    def content(self, **sections: Any) -> str:
        """What the file held at the start, with sections laid over it."""
        for key, value in self.first.items():
            sections[key] = {**value, **sections.get(key, {})} if isinstance(value, dict) else sections.get(key, value)
        return yaml.safe_dump(sections)

    def reload(self, **sections: Any) -> list[str]:
        """Change the file, send the signal, and return what is said of it."""
        self.file.write_text(self.content(**sections))
        self.running.signal(signal.SIGHUP)
        return self.said()

    def said(self, verdict: str = "trigger-shim: ", count: int = 1) -> list[str]:
        """Lines on standard error, up to so many that begin so and say how a reload went."""
        while sum(line.startswith((READ, REFUSED)) and line.startswith(verdict) for line in self._lines()) < count:
            self._read(60)
        lines = self._lines()
        self._said = self._said.rpartition(b"\n")[2]
        return lines

    def scrape(self) -> Scrape:
        return Scrape(self.running.admin)

    def call_as(self, agent: str) -> Answer:
        return self.proxy.call(headers={"User-Agent": f"{agent}/1"})

    def statuses(self, *agents: str) -> list[int]:
        return [self.call_as(agent).status for agent in agents]

    def pids(self) -> list[int]:
        found: list[int] = until(lambda: workers(self.proxy, self._count))
        return found

    def each(self) -> Iterator[int]:
        """Every process that serves in its turn, while the others are paused."""
        for pid in (pids := self.pids()):
            with contextlib.ExitStack() as others:
                for other in set(pids) - {pid}:
                    others.enter_context(paused(other))
                yield pid

    def is_silent(self) -> bool:
        self._read(0)
        return not self._said

    def _lines(self) -> list[str]:
        return self._said.decode().rpartition("\n")[0].splitlines()

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self.running.terminal], [], [], seconds)
        assert ready or not seconds, f"there came only {self._lines()}"
        with contextlib.suppress(OSError):  # so does the end of a terminal read
            self._said += os.read(self.running.terminal, 4096) if ready else b""
        return bool(ready)


@contextlib.contextmanager
def reloading(upstream: Upstream, folder: Path, count: int, **sections: Any) -> Iterator[Reloading]:
    with serving(upstream.url, folder, admin="127.0.0.1:0", workers=count, **sections) as running:
        found = Reloading(running, folder, count)
        for _ in found.each() if count > 1 else ():  # it has begun to serve
            assert running.admin.call("/readyz", None, method="GET").status == 200
        yield found


one_and_several = pytest.mark.parametrize("count", [1, 2])


# --- what is read again


@one_and_several
def test_a_caller_that_has_moved_is_refused_at_once_and_no_other(
    upstream: Upstream, tmp_path: Path, count: int
) -> None:
    with reloading(upstream, tmp_path, count) as proxy:
        assert proxy.statuses("moved", "stays") == [200, 200]
        assert proxy.reload(callers={"known": [MOVED, STAYS]}) == [f"{READ}known_callers=2 brownouts=0"]
        for _ in proxy.each():
            assert proxy.statuses("moved", "stays") == [410, 200]
        assert proxy.reload(callers={"known": [STAYS]}) == [f"{READ}known_callers=1 brownouts=0"]
        for _ in proxy.each():
            assert proxy.statuses("moved", "stays") == [200, 200]


class Called(NamedTuple):
    """A call under load: when it began and ended, and what became of it."""

    began: float
    ended: float
    status: int
    sunset: str | None


def keeps_calling(proxy: Proxy, calls: list[Called], stop: threading.Event, *, fresh: bool) -> None:
    connection = http.client.HTTPConnection(proxy.host, proxy.port, timeout=20)
    while not stop.is_set():
        began = time.monotonic()
        try:
            connection.request("POST", TRIGGER, b"{}")
            answer = connection.getresponse()
            answer.read()
            calls.append(Called(began, time.monotonic(), answer.status, answer.getheader("sunset")))
        except (OSError, http.client.HTTPException):
            calls.append(Called(began, time.monotonic(), 0, None))
        if fresh:
            connection.close()
    connection.close()


@one_and_several
def test_no_call_is_lost_and_each_that_begins_later_is_under_the_new_policy(
    upstream: Upstream, tmp_path: Path, count: int
) -> None:
    calls: list[Called] = []
    stop = threading.Event()
    spans = []
    with reloading(upstream, tmp_path, count) as proxy:
        arguments = [(proxy.proxy, calls, stop)] * 6
        threads = [
            threading.Thread(target=keeps_calling, args=given, kwargs={"fresh": number % 2 == 0})
            for number, given in enumerate(arguments)
        ]
        for thread in threads:
            thread.start()
        try:
            for year in range(2040, 2046):
                *_, line = proxy.reload(lifecycle={"sunset": f"{year}-01-01"})  # a busy machine may say that it stalls
                assert line == f"{READ}known_callers=0 sunset={year}-01-01 brownouts=0"
                begin, so_far = time.monotonic(), len(calls)
                until(lambda so_far=so_far: len(calls) > so_far + 30)  # type: ignore[misc]
                spans.append((begin, time.monotonic(), f" {year} "))
        finally:
            stop.set()
            for thread in threads:
                thread.join(20)
        assert {call.status for call in calls} == {200}
        assert len(proxy.proxy.records()) == len(calls)
    for begin, end, shown in spans:
        within = [call for call in calls if begin < call.began and call.ended < end]
        assert len(within) > 20
        assert all(call.sunset is not None and shown in call.sunset for call in within)


@one_and_several
def test_a_call_under_way_keeps_its_policy(upstream: Upstream, tmp_path: Path, count: int) -> None:
    release = threading.Event()
    upstream.script = held(release)
    with reloading(
        upstream, tmp_path, count, callers={"log": str(tmp_path / "callers.jsonl"), "known": [STAYS]}
    ) as proxy:
        answers: list[Answer] = []
        call = threading.Thread(target=lambda: answers.append(proxy.call_as("stays")))
        call.start()
        assert upstream.arrived.wait(20)
        proxy.reload(lifecycle=ENDED, callers={"known": []})
        assert proxy.statuses("stays") == [410]
        release.set()
        call.join(20)
        assert (answers[0].status, answers[0].all("sunset"), answers[0].all("deprecation")) == (
            200,
            [],
            ["@1764547200"],
        )
        late = proxy.proxy.records()[-1]
        assert (late["caller"], late["phase"], late["outcome"]) == ("stays", "deprecated", "forwarded")
        assert proxy.scrape().value("caller_calls_total", caller="stays") == 1
        assert proxy.scrape().value("caller_calls_total", caller="other") == 1


@one_and_several
def test_metrics_and_the_live_report_know_the_new_policy(upstream: Upstream, tmp_path: Path, count: int) -> None:
    with reloading(upstream, tmp_path, count) as proxy:
        proxy.call_as("stays")
        for _ in proxy.each():  # each keeps its report for a while
            rows = proxy.running.admin.call("/callers.json", None, method="GET").json()["callers"]
            assert [row["source"] for row in rows] == ["token"]
        known = [{**STAYS, "extension": "2041-01-01"}]
        proxy.reload(callers={"known": known}, lifecycle={"deprecated": "2019-01-01", "sunset": "2040-01-01"})
        for count_so_far, _ in enumerate(proxy.each(), 1):
            rows = proxy.running.admin.call("/callers.json", None, method="GET").json()["callers"]
            assert [row["caller"] for row in rows] == ["stays"]
            proxy.call_as("stays")
            scrape = proxy.scrape()
            assert scrape["lifecycle_sunset_timestamp_seconds"] == datetime(2040, 1, 1, tzinfo=UTC).timestamp()
            assert scrape["lifecycle_deprecated_timestamp_seconds"] == datetime(2019, 1, 1, tzinfo=UTC).timestamp()
            assert scrape.sunsets() == {"other": "2040-01-01", "stays": "2041-01-01"}
            assert scrape.labels("caller_calls_total", "caller") == {"other", "stays"}
            assert scrape.value("caller_calls_total", caller="other") == 1
            assert scrape.value("caller_calls_total", caller="stays") == count_so_far
        proxy.reload(callers={"known": []}, lifecycle={"sunset": None})
        assert [proxy.scrape().sunsets() for _ in proxy.each()] == [{}] * count


@one_and_several
def test_a_file_that_has_not_changed_changes_nothing(upstream: Upstream, tmp_path: Path, count: int) -> None:
    with reloading(upstream, tmp_path, count, lifecycle=ENDED) as proxy:
        at_start = proxy.scrape()
        assert at_start[SUCCESSFUL] == 1
        assert proxy.reload() == [f"{READ}known_callers=0 sunset=2020-01-01 brownouts=0"]
        after = proxy.scrape()
        assert after[SUCCESSFUL] == 1
        assert at_start[SUCCESS] < after[SUCCESS] <= time.time()
        assert proxy.statuses("any") == [410]


# --- what cannot be used


def has_no_such_key(proxy: Reloading) -> None:
    proxy.file.write_text(proxy.content(lifecycle={"sunste": "2040-01-01"}))


def is_wrong_twice(proxy: Reloading) -> None:
    proxy.file.write_text(proxy.content(lifecycle={"sunset": "soon"}, callers={"known": [{"name": "x"}]}, workers=-1))


def is_no_yaml(proxy: Reloading) -> None:
    proxy.file.write_text("lifecycle: {sunset: 'hidden")


def is_no_text(proxy: Reloading) -> None:
    proxy.file.write_bytes(b"listen: \xff\n")


def is_a_folder(proxy: Reloading) -> None:
    proxy.file.unlink()
    proxy.file.mkdir()


def is_gone(proxy: Reloading) -> None:
    proxy.file.rmdir()


BAD = [
    (has_no_such_key, ["lifecycle.sunste: unknown key; did you mean lifecycle.sunset?"]),
    (is_wrong_twice, ["lifecycle.sunset: ", "workers: "]),
    (is_no_yaml, ["{file}: line 1: "]),
    (is_no_text, ["{file}: not UTF-8"]),
    (is_a_folder, ["{file}: Is a directory"]),
    (is_gone, ["{file}: No such file or directory"]),
]


@one_and_several
def test_a_bad_file_leaves_the_policy_in_force_and_says_why(upstream: Upstream, tmp_path: Path, count: int) -> None:
    known = {"known": [MOVED]}
    with reloading(upstream, tmp_path, count) as proxy:
        proxy.reload(callers=known)
        success = proxy.scrape()[SUCCESS]
        for spoil, problems in BAD:
            spoil(proxy)
            proxy.running.signal(signal.SIGHUP)
            lines = sorted(proxy.said(count=len(problems)))
            for line, problem in zip(lines, problems, strict=True):
                assert line.startswith(REFUSED + problem.format(file=proxy.file))
                assert "hidden" not in line
            for _ in proxy.each():
                assert (proxy.scrape()[SUCCESSFUL], proxy.scrape()[SUCCESS]) == (0, success)
                assert proxy.statuses("moved", "stays") == [410, 200]
        assert proxy.reload(callers=known) == [f"{READ}known_callers=1 brownouts=0"]
        for _ in proxy.each():
            assert proxy.scrape()[SUCCESSFUL] == 1
            assert proxy.scrape()[SUCCESS] > success


def test_a_missing_default_file_is_reported(upstream: Upstream, tmp_path: Path) -> None:
    arguments = command(upstream.url, tmp_path, lifecycle=ENDED)[: -len(["--config", "file"])]
    log = tmp_path / "callers.jsonl"
    with running(subprocess.Popen(arguments, cwd=tmp_path, stderr=subprocess.PIPE, text=True)) as process:
        until(lambda: log.exists() and b'"start"' in log.read_bytes())
        (tmp_path / "config.yaml").unlink()
        process.send_signal(signal.SIGHUP)
        assert process.stderr is not None
        [refused] = events(process.stderr.readline())
        assert refused["event"] == "reload_refused"
        assert refused["message"].startswith("config.yaml: No such file or directory")


@one_and_several
def test_keys_that_need_a_restart_are_named_and_unchanged(upstream: Upstream, tmp_path: Path, count: int) -> None:
    release = threading.Event()
    with reloading(upstream, tmp_path, count) as proxy:
        named, verdict = proxy.reload(
            listen="127.0.0.1:1",
            workers=3,
            upstream={"url": "http://127.0.0.1:1"},
            limits={"in_flight": 1},
            callers={"log": str(tmp_path / "other.jsonl"), "fingerprint_key": "hidden" * 4, "known": [MOVED]},
        )
        assert named == (
            'trigger-shim: warning: restart needed keys=["listen","workers","upstream.url","limits.in_flight",'
            '"callers.log","callers.fingerprint_key"]: these changed in the file'
        )
        assert verdict == f"{READ}known_callers=1 brownouts=0"
        assert len(proxy.pids()) == count
        for _ in proxy.each():
            upstream.received.clear()
            upstream.script = held(release)
            calls = [proxy.running.call() for _ in range(2)]
            until(lambda: len(upstream.received) == 2)
            release.set()
            assert [answer.status for call in calls if (answer := call.answer()) is not None] == [200, 200]
            assert proxy.statuses("moved") == [410]
            release.clear()
            report = proxy.running.admin.call("/callers.json", None, method="GET").json()
            assert report["read"]["calls"] == len(proxy.proxy.records())
        assert len(proxy.proxy.records()) == 3 * count
        assert not (tmp_path / "other.jsonl").exists()
        named, _ = proxy.reload(limits={"drain": 7})
        assert named == 'trigger-shim: warning: restart needed keys=["limits.drain"]: these changed in the file'


def test_a_whole_section_may_need_a_restart() -> None:
    before = config.load(os.devnull, {})
    after = config.load(os.devnull, {}, {"admin": None, "tls": {"certificate": __file__, "key": __file__}})
    assert needing_restart(before, after) == ["admin", "tls"]
    assert needing_restart(before, before) == []


def reload_once(running: Config, read: Config, adopt: Any) -> tuple[list[str], float]:
    metrics = Metrics(running)
    reload = Reload(lambda: read, running, running, adopt, metrics.reloads)
    problems = asyncio.run(reload._reload())
    [value] = [
        line.split()[1]
        for line in metrics.exposition("")[1].decode().splitlines()
        if line.startswith(f"trigger_shim_{SUCCESSFUL} ")
    ]
    return problems, float(value)


def test_a_reload_may_not_contradict_what_runs(tmp_path: Path) -> None:
    async def adopt(_config: Config) -> None:
        pytest.fail("it was put in force")

    running = config.load(os.devnull, {}, {"callers": {"log": "-"}})
    callers = {"log": str(tmp_path / "callers.jsonl")}
    read = config.load(os.devnull, {}, {"callers": callers, "lifecycle": {"freeze": "2026-01-01"}})
    [problem], value = reload_once(running, read, adopt)
    assert problem.startswith("lifecycle.freeze: ")
    assert value == 0


def test_a_reload_with_a_fault_has_failed() -> None:
    async def adopt(_config: Config) -> None:
        raise RuntimeError("hidden")

    running = config.load(os.devnull, {})
    assert reload_once(running, running, adopt) == (["a fault of the proxy itself: RuntimeError"], 0)


# --- signals


class Pipe:
    """A file that the proxy waits for, so that a test knows when it reads, and goes on when the test wants it to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._renew()

    @contextlib.contextmanager
    def being_read(self, content: str) -> Iterator[None]:
        descriptor = until(self._opened)
        self._renew()  # for the next reader
        yield
        os.write(descriptor, content.encode())
        os.close(descriptor)

    def _renew(self) -> None:
        self._path.unlink()
        os.mkfifo(self._path)

    def _opened(self) -> int | None:
        try:
            return os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return None


@one_and_several
def test_a_signal_in_the_middle_of_a_reload_leads_to_another(upstream: Upstream, tmp_path: Path, count: int) -> None:
    with reloading(upstream, tmp_path, count) as proxy:
        pipe = Pipe(proxy.file)
        proxy.running.signal(signal.SIGHUP)
        with pipe.being_read(proxy.content(lifecycle={"sunset": "2041-01-01"})):
            proxy.running.signal(signal.SIGHUP)
            assert proxy.statuses("any") == [200]  # calls do not wait for the file
        with pipe.being_read(proxy.content(lifecycle={"sunset": "2042-01-01"})):
            pass
        proxy.said(f"{READ}known_callers=0 sunset=2042-01-01 brownouts=0")
        for _ in proxy.each():
            assert "2042" in proxy.call_as("any").all("sunset")[0]


def test_a_signal_before_it_serves_is_not_lost(upstream: Upstream, tmp_path: Path) -> None:
    arguments = command(upstream.url, tmp_path)
    content = (tmp_path / "config.yaml").read_text()
    pipe = Pipe(tmp_path / "config.yaml")
    with running(subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)) as process:
        with pipe.being_read(content):
            process.send_signal(signal.SIGHUP)
        with pipe.being_read(f"{content}lifecycle: {{sunset: 2043-01-01}}\n"):
            pass
        assert process.stderr is not None
        [reloaded] = events(process.stderr.readline())
        assert (reloaded["event"], reloaded["sunset"]) == ("configuration_reloaded", "2043-01-01")


@one_and_several
def test_a_signal_while_it_stops_is_ignored(upstream: Upstream, tmp_path: Path, count: int) -> None:
    release = threading.Event()
    upstream.script = held(release)
    with reloading(upstream, tmp_path, count) as proxy:
        call = proxy.running.call()
        assert upstream.arrived.wait(20)
        proxy.running.signal(signal.SIGTERM)
        proxy.running.wait_until_it_stops_listening()
        proxy.file.write_text("nonsense")
        proxy.running.signal(signal.SIGHUP)
        release.set()
        answer = call.answer()
        assert answer is not None
        assert answer.status == 200
        assert proxy.running.exit_status() == 0
        assert proxy.is_silent()


# --- workers


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
            until(lambda: select.select([proxy.running.terminal], [], [], 0)[0])
            assert proxy.statuses("moved") == [410]
        waits, verdict = proxy.said()
        assert waits == f"trigger-shim: warning: reload waiting worker={first}"
        assert verdict == f"{READ}known_callers=1 brownouts=0"
        assert proxy.pids() == [first, second]


# --- the freeze


def called_long_ago(proxy: Proxy, year: int) -> None:
    """Date everything in the log back."""
    lines = [json.dumps({**event, "ts": f"{year}{event['ts'][4:]}"}) for event in proxy.events()]
    proxy.log.write_text("".join(f"{line}\n" for line in lines))


@one_and_several
def test_after_a_reload_new_callers_are_refused_and_no_others(upstream: Upstream, tmp_path: Path, count: int) -> None:
    freeze = {"freeze": "2021-01-01"}
    old, new = {"Authorization": "Bearer old"}, {"Authorization": "Bearer new"}
    with reloading(upstream, tmp_path, count) as proxy:
        pids = proxy.pids()
        proxy.proxy.call(headers=old)
        called_long_ago(proxy.proxy, 2020)
        assert proxy.reload(lifecycle=freeze) == [f"{READ}known_callers=0 brownouts=0 freeze=2021-01-01"]
        assert [proxy.proxy.call(headers=given).status for given in (old, new) * 4] == [200, 410] * 4
        # The log of then is rotated away; for the same question its answer is kept.
        proxy.proxy.log.write_text("")
        assert proxy.reload(lifecycle={**freeze, "sunset": "2040-01-01"})[:-1] == []
        assert [proxy.proxy.call(headers=given).status for given in (old, new) * 4] == [200, 410] * 4
        # For another question there is none.
        lines = proxy.reload(lifecycle={"freeze": "2021-01-02"})
        assert [line for line in lines if "freeze not applied" in line] == lines[:-1]
        assert len(lines) == count + 1
        assert [proxy.proxy.call(headers=given).status for given in (old, new)] == [200, 200]
        assert all(map(is_alive, pids))
