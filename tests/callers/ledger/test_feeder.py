import gzip
import os
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from proxy.callers.ledger import feeder
from proxy.callers.ledger.database import LedgerUnavailable
from proxy.callers.ledger.feeder import FileCounter, FileFeeder
from proxy.callers.ledger.ledger import Ledger
from tests.callers.ledger.reading import calls_by_caller, opened
from tests.callers.lines import DAY, NOW, call, log
from tests.support.ledgers import Connect

LATER = NOW + DAY


def clock() -> datetime:
    return LATER


def append(path: Path, *records: Any) -> None:
    with path.open("ab") as file:
        file.write(log(*records))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "callers.jsonl"


@pytest.fixture
def ledger(connect: Connect) -> Ledger:
    return opened(connect)


def names(count: int, begin: int = 0) -> list[Any]:
    return [call(NOW, f"c{number}", request_id=f"r{number}") for number in range(begin, begin + count)]


def once(count: int) -> dict[str, int]:
    return {f"c{number}": 1 for number in range(count)}


def test_what_is_appended_is_counted_once(path: Path, ledger: Ledger) -> None:
    append(path, *names(3))
    feeding = FileFeeder(str(path), ledger, clock)
    feeding.feed()
    feeding.feed()
    append(path, *names(2, 3))
    feeding.feed()

    assert calls_by_caller(ledger) == once(5)


def test_a_log_that_does_not_exist_yet_is_counted_later(path: Path, ledger: Ledger) -> None:
    feeding = FileFeeder(str(path), ledger, clock)
    feeding.feed()
    append(path, *names(1))
    feeding.feed()

    assert calls_by_caller(ledger) == once(1)


@pytest.mark.parametrize("whole", [0, 1])
def test_an_incomplete_line_waits_for_its_end(path: Path, ledger: Ledger, whole: int) -> None:
    lines = log(*names(whole + 1))
    path.write_bytes(lines[:-20])
    feeding = FileFeeder(str(path), ledger, clock)
    feeding.feed()
    assert calls_by_caller(ledger) == once(whole)

    path.write_bytes(lines)
    feeding.feed()
    assert calls_by_caller(ledger) == once(whole + 1)


def rename(path: Path) -> None:
    path.rename(f"{path}.1")


def rename_and_compress(path: Path) -> None:
    Path(f"{path}.1.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def copy_and_truncate(path: Path) -> None:
    shutil.copy(path, f"{path}.1")
    os.truncate(path, 0)


ROTATIONS: list[Callable[[Path], None]] = [rename, rename_and_compress, copy_and_truncate]


@pytest.mark.parametrize("rotate", ROTATIONS)
@pytest.mark.parametrize("process", ["the same", "the next"])
def test_nothing_is_lost_or_counted_twice_by_a_rotation(
    path: Path, ledger: Ledger, rotate: Callable[[Path], None], process: str
) -> None:
    append(path, *names(2))
    feeding = FileFeeder(str(path), ledger, clock)
    feeding.feed()
    append(path, *names(3, 2))
    if process == "the next":
        feeding.finish()
        append(path, *names(1, 5))
        feeding = FileFeeder(str(path), ledger, clock)
    rotate(path)
    append(path, *names(2, 6))
    feeding.feed()

    assert calls_by_caller(ledger) == once(8) if process == "the next" else {**once(5), "c6": 1, "c7": 1}


def test_one_of_several_processes_counts_and_another_follows_it(path: Path, ledger: Ledger, connect: Connect) -> None:
    one, other = FileFeeder(str(path), ledger, clock), FileFeeder(str(path), opened(connect), clock)
    append(path, *names(1))
    one.feed()
    append(path, *names(1, 1))
    other.feed()
    assert calls_by_caller(ledger) == once(1)

    one.finish()
    append(path, *names(1, 2))
    other.feed()
    assert calls_by_caller(ledger) == once(3)


def test_two_that_count_the_same_part_count_it_once(path: Path, ledger: Ledger, connect: Connect) -> None:
    append(path, *names(3))
    one, other = FileCounter(ledger, clock), FileCounter(opened(connect), clock)
    one.count(str(path), grows=True)
    other.count(str(path), grows=True)
    append(path, *names(2, 3))
    assert other.count(str(path), grows=True) == 2
    assert one.count(str(path), grows=True) == 0
    append(path, *names(1, 5))
    assert one.count(str(path), grows=True) == 1

    assert calls_by_caller(ledger) == once(6)


def test_a_ledger_that_was_away_is_caught_up_with(path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    append(path, *names(2))
    feeding = FileFeeder(str(path), ledger, clock)
    feeding.feed()
    append(path, *names(2, 2))
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "add", unavailable)
        with pytest.raises(LedgerUnavailable):
            feeding.feed()
    append(path, *names(2, 4))
    feeding.feed()

    assert calls_by_caller(ledger) == once(6)


def unavailable(*_: Any, **__: Any) -> None:
    raise LedgerUnavailable("gone")


def test_a_large_log_is_counted_in_parts(path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeder, "_PART", 1000)
    append(path, *names(40))
    FileFeeder(str(path), ledger, clock).feed()

    assert calls_by_caller(ledger) == once(40)


def test_what_cannot_be_read_is_told_with_its_line(path: Path, ledger: Ledger) -> None:
    append(path, *names(1))
    FileFeeder(str(path), ledger, clock).finish()
    with path.open("ab") as file:
        file.write(log(call(NOW))[:60] + b"\n" + log(call(NOW, "c1")))
    FileFeeder(str(path), ledger, clock).feed()
    with ledger.content() as content:
        [(_, found)] = content.unreadable().days.items()

    assert (found.count, found.places) == (1, [f"{path} line 2"])
    assert calls_by_caller(ledger) == once(2)
