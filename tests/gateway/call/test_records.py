"""The caller log while its disk goes wrong: no call fails, no line is torn, and what is lost is told and counted."""

import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.callers.lines import ids, rescued, written
from tests.support.disks import read_only, small_disk
from tests.support.load import TRIGGERED, Load, Logged
from tests.support.proxy import watched
from tests.support.scrape import Scrape
from tests.support.upstream import Upstream
from tests.support.workers import two_workers

BIG = ("POST", f"/acme/shop/ci_workflows/{'%01' * 2_000}/trigger")
CALLERS = [[TRIGGERED, TRIGGERED, BIG]] * 3
"""A workflow whose record is as long as a record can be."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "logs"
    made.mkdir()
    return made


@pytest.fixture
def logged(upstream: Upstream, folder: Path) -> Iterator[Logged]:
    with watched(upstream.url, folder) as (proxy, admin):
        yield Logged(proxy, admin)


def test_of_many_calls_at_once_each_has_its_record_before_its_answer(upstream: Upstream, folder: Path) -> None:
    with watched(upstream.url, folder) as (proxy, _), ThreadPoolExecutor(32) as callers:

        def call(number: int) -> bool:
            request_id = f"call-{number}"
            assert proxy.call(headers={"X-Request-ID": request_id}).status == 200
            return f'"{request_id}"' in proxy.log.read_text()

        assert all(callers.map(call, range(640)))


def test_on_a_full_disk_no_call_fails_and_what_is_lost_goes_to_standard_error(
    upstream: Upstream, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk), watched(upstream.url, disk) as (proxy, admin):
        logged, filler = Logged(proxy, admin), disk / "filler"
        logged.call(3)
        filler.write_bytes(b"x" * (48 << 10))
        logged.call(60)
        lost = rescued(capfd.readouterr().err)
        assert len(lost) > 20
        assert logged.counted() == (1 + 63 - len(lost), len(lost))
        filler.unlink()
        after = logged.call(5)
        assert logged.counted() == (1 + 68 - len(lost), len(lost))
        content = (disk / "callers.jsonl").read_bytes()

    lines = [line for line in content.split(b"\n") if _is_whole(line)]
    fragments = [line for line in content.split(b"\n") if line and not _is_whole(line)]
    found = ids([json.loads(line) for line in lines])
    assert found[-5:] == after
    assert sorted([*found, *lost]) == sorted(logged.calls)
    assert len(fragments) <= 1
    assert capfd.readouterr().err == f"trigger-shim: caller log written again unwritten_records={len(lost)}\n"


def _is_whole(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def test_a_folder_that_is_removed_is_made_anew_and_nothing_is_lost(
    logged: Logged, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    logged.call(2)
    shutil.rmtree(folder)
    after = logged.call(3)

    assert ids(written(folder / "callers.jsonl")) == after
    assert logged.counted() == (1 + 5, 0)
    assert capfd.readouterr().err == ""


def test_a_folder_that_is_read_only_costs_no_call_and_is_written_to_as_soon_as_it_can_be(
    logged: Logged, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    logged.call(2)
    (folder / "callers.jsonl").rename(tmp_path / "rotated.jsonl")
    with read_only(folder):
        lost = logged.call(3)
        assert rescued(capfd.readouterr().err) == lost
        assert logged.counted() == (1 + 2, 3)
    after = logged.call(2)

    assert ids(written(folder / "callers.jsonl")) == after
    assert logged.counted() == (1 + 4, 3)
    assert capfd.readouterr().err == "trigger-shim: caller log written again unwritten_records=3\n"


@pytest.fixture
def loaded(upstream: Upstream, folder: Path) -> Iterator[tuple[Load, Path]]:
    """Calls of two workers that go on; some have a long record."""
    with two_workers(upstream.url, folder) as (running, _):
        calls = Load(running.proxy, CALLERS)
        with calls.running():
            yield calls, running.proxy.log
        assert Scrape(running.admin)["caller_log_write_failures_total"] == 0


def _longest(events: list[dict[str, Any]]) -> int:
    return max(len(json.dumps(event)) for event in events)


def test_several_workers_tear_no_line_and_lose_none_while_the_file_is_renamed_away(
    loaded: tuple[Load, Path], folder: Path
) -> None:
    calls, log = loaded
    for number in range(10):
        calls.more()
        log.rename(folder / f"callers.jsonl.{number}")
    calls.more()
    calls.stop()

    files = list(folder.glob("callers.jsonl*"))
    events = [event for file in files for event in written(file)]
    assert len(files) == 11
    assert sorted(ids(events)) == sorted(calls.answered)
    assert _longest(events) > 1_000


def test_while_the_file_is_copied_and_cut_no_line_is_torn_and_none_is_glued_to_another(
    loaded: tuple[Load, Path], folder: Path
) -> None:
    calls, log = loaded
    copies = [folder / f"copy.{number}" for number in range(10)]
    for copy in copies:
        calls.more()
        shutil.copyfile(log, copy)
        os.truncate(log, 0)
    before = calls.answered
    calls.more()
    calls.stop()

    rest = written(log)
    assert set(ids(rest)) <= calls.answered
    assert len(calls.answered - before - set(ids(rest))) <= len(CALLERS)  # those under way when it was cut
    for copy in copies:
        *whole, last = copy.read_bytes().split(b"\n")  # of which the copy may have only the beginning
        assert set(ids([json.loads(line) for line in whole])) <= calls.answered
        assert b'{"event":'.startswith(last[:9])
