import contextlib
import http.client
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.gateway.processes.reloading import (
    ENDED,
    MOVED,
    READ,
    SUCCESS,
    SUCCESSFUL,
    Reloading,
    one_and_several,
    reloading,
)
from tests.support.ledgers import stored_calls
from tests.support.processes import next_event, running
from tests.support.proxy import TRIGGER, Proxy
from tests.support.serving import command
from tests.support.upstream import Upstream, held, reply
from tests.support.waiting import PATIENCE, until
from tests.support.wire import Answer
from tests.support.workers import is_alive

STAYS = {"name": "stays", "agent": "stays/*"}


@pytest.fixture(scope="module", params=[1, 2], ids=["one worker", "two workers"])
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Upstream, Reloading]]:
    """A proxy for the tests that leave its processes alone."""
    folder = tmp_path_factory.mktemp("shared")
    with Upstream().running() as service, reloading(service, folder, request.param) as proxy:
        yield service, proxy


@pytest.fixture
def proxy(shared: tuple[Upstream, Reloading]) -> Reloading:
    """That proxy, with the configuration of its start."""
    _, proxy = shared
    proxy.file.unlink()
    proxy.reload()
    return proxy


# --- what is read again


def test_a_caller_that_has_moved_is_refused_at_once_and_no_other(proxy: Reloading) -> None:
    assert proxy.statuses("moved", "stays") == [200, 200]
    assert proxy.reload(callers={"known": [MOVED, STAYS]}) == [f"{READ}known_callers=2 brownouts=0"]
    for _ in proxy.each():
        assert proxy.statuses("moved", "stays") == [410, 200]
    assert proxy.reload(callers={"known": [STAYS]}) == [f"{READ}known_callers=1 brownouts=0"]
    for _ in proxy.each():
        assert proxy.statuses("moved", "stays") == [200, 200]


def test_callers_are_told_another_address_at_once(proxy: Reloading) -> None:
    assert f"<{proxy.first['upstream']['url']}/repos/" in (proxy.call_as("stays").header("link") or "")
    assert proxy.reload(lifecycle={"successor_url": "https://api.example"}) == [f"{READ}known_callers=0 brownouts=0"]
    for _ in proxy.each():
        assert "<https://api.example/repos/" in (proxy.call_as("stays").header("link") or "")


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


def test_no_call_is_lost_and_each_that_begins_later_is_under_the_new_policy(proxy: Reloading) -> None:
    calls: list[Called] = []
    stop = threading.Event()
    spans, before = [], len(proxy.proxy.records())
    arguments = [(proxy.proxy, calls, stop)] * 6
    threads = [
        threading.Thread(target=keeps_calling, args=given, kwargs={"fresh": number % 2 == 0})
        for number, given in enumerate(arguments)
    ]
    for thread in threads:
        thread.start()
    try:
        for year in range(2040, 2043):
            [line] = proxy.reload(lifecycle={"sunset": f"{year}-01-01"})
            assert line == f"{READ}known_callers=0 sunset={year}-01-01 brownouts=0"
            begin, so_far = time.monotonic(), len(calls)
            until(lambda so_far=so_far: len(calls) > so_far + 30)  # type: ignore[misc]
            spans.append((begin, time.monotonic(), f" {year} "))
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)
    assert {call.status for call in calls} == {200}
    assert len(proxy.proxy.records()) == before + len(calls)
    for begin, end, shown in spans:
        within = [call for call in calls if begin < call.began and call.ended < end]
        assert len(within) > 20
        assert all(call.sunset is not None and shown in call.sunset for call in within)


def test_a_call_under_way_keeps_its_policy(shared: tuple[Upstream, Reloading], proxy: Reloading) -> None:
    service, release = shared[0], threading.Event()
    proxy.reload(callers={"known": [STAYS]})
    before, first = counted(proxy), len(service.received)
    service.script = held(release)
    answers: list[Answer] = []
    call = threading.Thread(target=lambda: answers.append(proxy.call_as("stays")))
    call.start()
    until(lambda: len(service.received) > first)
    proxy.reload(lifecycle=ENDED, callers={"known": []})
    assert proxy.statuses("stays") == [410]
    service.script = reply()
    release.set()
    call.join(PATIENCE)
    assert (answers[0].status, answers[0].all("sunset"), answers[0].all("deprecation")) == (200, [], ["@1764547200"])
    late = proxy.proxy.records()[-1]
    assert (late["caller"], late["phase"], late["outcome"]) == ("stays", "deprecated", "forwarded")
    assert [now - then for now, then in zip(counted(proxy), before, strict=True)] == [1, 1]


def counted(proxy: Reloading) -> list[float]:
    """The calls so far of a known caller, and of others."""
    scrape = proxy.scrape()
    names = scrape.labels("caller_calls_total", "caller")
    return [scrape.value("caller_calls_total", caller=name) if name in names else 0 for name in ("stays", "other")]


@one_and_several
def test_metrics_and_the_live_report_know_the_new_policy(upstream: Upstream, tmp_path: Path, count: int) -> None:
    ledger = str(tmp_path / "callers.db")
    with reloading(upstream, tmp_path, count, ledger=ledger) as proxy:
        proxy.call_as("stays")
        until(lambda: stored_calls(ledger) == 1)
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


def test_a_file_that_has_not_changed_changes_nothing(proxy: Reloading) -> None:
    proxy.reload(lifecycle=ENDED)
    at_start = proxy.scrape()
    assert at_start[SUCCESSFUL] == 1
    assert proxy.reload(lifecycle=ENDED) == [f"{READ}known_callers=0 sunset=2020-01-01 brownouts=0"]
    after = proxy.scrape()
    assert after[SUCCESSFUL] == 1
    assert at_start[SUCCESS] < after[SUCCESS] <= time.time()
    assert proxy.statuses("any") == [410]


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


def test_a_signal_in_the_middle_of_a_reload_leads_to_another(proxy: Reloading) -> None:
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
        reloaded = next_event(process.stderr)
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
        assert not proxy.has_said()


# --- the freeze


def called_long_ago(proxy: Proxy, year: int) -> None:
    """Date everything in the log back."""
    lines = [json.dumps({**event, "ts": f"{year}{event['ts'][4:]}"}) for event in proxy.events()]
    proxy.log.write_text("".join(f"{line}\n" for line in lines))


@one_and_several
def test_after_a_reload_new_callers_are_refused_and_no_others(upstream: Upstream, tmp_path: Path, count: int) -> None:
    freeze = {"freeze": "2021-01-01"}
    old, new = {"Authorization": "Bearer old"}, {"Authorization": "Bearer new", "User-Agent": "new/1"}
    with reloading(upstream, tmp_path, count, ledger=None) as proxy:
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
