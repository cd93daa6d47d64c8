import bz2
import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.callers.ledger.file_counter import FileCounter
from proxy.callers.ledger.ledger import Ledger
from tests.callers.ledger.reading import opened
from tests.callers.ledger.restored import clock, lines, once
from tests.support.ledgers import Connect, calls_by_caller


def unreadable(ledger: Ledger) -> dict[int | None, int]:
    with ledger.content() as content:
        return {day: found.count for day, found in content.unreadable().days.items()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "callers.jsonl"


@pytest.fixture
def ledger(connect: Connect) -> Ledger:
    return opened(connect)


def test_two_that_count_the_same_part_count_it_once(path: Path, ledger: Ledger, connect: Connect) -> None:
    path.write_bytes(lines(0, 1, 2))
    one, other = FileCounter(ledger, clock), FileCounter(opened(connect), clock)
    one.count(str(path), grows=True)
    other.count(str(path), grows=True)
    path.write_bytes(lines(0, 1, 2, 3, 4))
    assert other.count(str(path), grows=True) == 2
    assert one.count(str(path), grows=True) == 0
    path.write_bytes(lines(0, 1, 2, 3, 4, 5))
    assert one.count(str(path), grows=True) == 1

    assert calls_by_caller(ledger) == once(0, 1, 2, 3, 4, 5)


PACKED = [pytest.param(bytes, id="plain"), pytest.param(gzip.compress, id="gzip"), pytest.param(bz2.compress, id="bz2")]


@pytest.mark.parametrize("pack", PACKED)
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("cut", [1, 60, 300])
def test_a_copy_that_ends_within_a_line_is_a_doubt_until_the_whole_log_is_counted(
    path: Path, ledger: Ledger, pack: Callable[[bytes], bytes], times: int, cut: int
) -> None:
    whole = lines(0, 1, 2)
    path.write_bytes(pack(whole[:-cut]))
    for _ in range(times):
        FileCounter(ledger, clock).count(str(path))
    complete = cut == 1  # only the newline is missing
    assert calls_by_caller(ledger) == once(0, 1, 2) if complete else once(0, 1)
    assert sum(unreadable(ledger).values()) == (0 if complete else 1)

    path.write_bytes(pack(whole))
    assert FileCounter(ledger, clock).count(str(path)) == (0 if complete else 1)
    path.write_bytes(pack(whole[:-cut]))
    assert FileCounter(ledger, clock).count(str(path)) == 0

    assert calls_by_caller(ledger) == once(0, 1, 2)
    assert unreadable(ledger) == {}


def test_the_shorter_copy_does_not_settle_the_doubt_about_the_end(path: Path, ledger: Ledger) -> None:
    whole = lines(0, 1, 2)
    for content in (whole[:-50], lines(0, 1), lines(0)):
        path.write_bytes(content)
        FileCounter(ledger, clock).count(str(path))

    assert sum(unreadable(ledger).values()) == 1


def test_a_damaged_copy_is_a_doubt_until_the_whole_log_is_counted(path: Path, ledger: Ledger) -> None:
    whole = gzip.compress(lines(*range(300)))
    path.write_bytes(whole[:-30])
    for _ in range(2):
        FileCounter(ledger, clock).count(str(path))
    assert 100 < len(calls_by_caller(ledger)) < 300
    assert sum(unreadable(ledger).values()) == 1

    path.write_bytes(whole)
    FileCounter(ledger, clock).count(str(path))

    assert calls_by_caller(ledger) == once(*range(300))
    assert unreadable(ledger) == {}
