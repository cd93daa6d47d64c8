import bz2
import gzip
import itertools
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.callers.ledger.file_counter import FileCounter
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.log.copies import without_copies
from tests.callers.ledger.reading import opened
from tests.callers.ledger.restored import clock, lines, once
from tests.callers.lines import DAY
from tests.support.ledgers import Connect, calls_by_caller

PACKED = [pytest.param(bytes, id="plain"), pytest.param(gzip.compress, id="gzip"), pytest.param(bz2.compress, id="bz2")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "callers.jsonl"


@pytest.fixture
def ledger(connect: Connect) -> Ledger:
    return opened(connect)


def test_a_machine_and_its_copy_are_counted_apart_from_where_they_differ(
    tmp_path: Path, ledger: Ledger, connect: Connect
) -> None:
    paths = {host: tmp_path / f"{host}.jsonl" for host in "ab"}
    begin = lines(0, 1, 2, 3)
    paths["a"].write_bytes(begin)
    FileCounter(ledger, clock).count(str(paths["a"]), grows=True)
    shutil.copy(paths["a"], paths["b"])
    for number in range(4, 9):
        for host, path in paths.items():
            with path.open("ab") as file:
                file.write(lines(number, host=host))
            FileCounter(opened(connect), clock).count(str(path), grows=True)

    later = {f"{host}c{number}": 1 for host in "ab" for number in range(4, 9)}
    assert calls_by_caller(ledger) == once(0, 1, 2, 3) | later


@pytest.mark.parametrize("pack", PACKED)
@pytest.mark.parametrize("grows", [True, False])
def test_a_log_that_goes_on_differently_after_a_restore_loses_nothing(
    path: Path, ledger: Ledger, pack: Callable[[bytes], bytes], grows: bool
) -> None:
    """After a loss of power, too: what the disk did not have yet is gone, and others have the ledger."""
    said: list[str] = []
    for end in range(1, 41):
        path.write_bytes(lines(*range(end)))
        FileCounter(ledger, clock).count(str(path), grows=True)
    restored = lines(*range(30)) + lines(*range(100, 130))
    for content in (restored, restored + lines(130)):
        path.write_bytes(content if grows else pack(content))
        FileCounter(ledger, clock, said.append).count(str(path), grows=grows)

    found = calls_by_caller(ledger)
    assert set(found) == set(once(*range(40), *range(100, 131)))
    twice = {int(name[1:]) for name, calls in found.items() if calls == 2}
    assert twice <= set(range(10, 30))  # about as many as were lost, which are ten
    assert max(found.values()) <= 2
    [text] = said
    assert text.startswith(f"{path} begins as a log that is counted, and goes on differently from byte ")


def test_a_log_that_is_shorter_than_it_was_is_not_taken_for_a_copy_while_it_grows(path: Path, ledger: Ledger) -> None:
    path.write_bytes(lines(*range(10)))
    FileCounter(ledger, clock).count(str(path), grows=True)
    path.write_bytes(lines(*range(5)) + lines(100))
    FileCounter(ledger, clock).count(str(path), grows=True)

    assert calls_by_caller(ledger)["c100"] == 1


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=str)
def test_what_logs_share_that_are_counted_together_is_counted_once(
    tmp_path: Path, ledger: Ledger, order: tuple[int, ...]
) -> None:
    contents = [lines(0, 1, 2, 3, 4, 5), lines(0, 1, 7), lines(0, 1, 2, 8, 9), lines(0, 1, 2, 3)]
    paths = [tmp_path / str(number) for number in order]
    for path, number in zip(paths, order, strict=True):
        path.write_bytes(contents[number])
    for _ in range(2):
        for log_file in without_copies(map(str, paths), lambda _: None):
            FileCounter(ledger, clock).count(log_file.path, skip=log_file.skip)

    assert calls_by_caller(ledger) == once(0, 1, 2, 3, 4, 5, 7, 8, 9)


def test_a_rotated_log_of_a_copied_machine_is_counted_to_its_end(tmp_path: Path, ledger: Ledger) -> None:
    one, other = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    one.write_bytes(lines(0, 5))
    FileCounter(ledger, clock).count(str(one), grows=True)
    other.write_bytes(lines(0) + lines(3, 4, host="b"))
    FileCounter(ledger, clock).count(str(other), grows=True)
    other.write_bytes(lines(0) + lines(3, 4, 5, host="b"))
    changed = (clock() + DAY / 2).timestamp()  # after it was counted, and before the other one was
    os.utime(other, (changed, changed))
    one.write_bytes(lines(0, 5, 6))
    FileCounter(ledger, lambda: clock() + DAY).count(str(one), grows=True)
    FileCounter(ledger, lambda: clock() + DAY, is_live=True).count(str(other))

    assert calls_by_caller(ledger) == {"c0": 2, "c5": 1, "c6": 1, "bc3": 1, "bc4": 1, "bc5": 1}
