import errno
import fcntl
import gzip
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from proxy.callers.ledger import feeder, file_counter
from proxy.callers.ledger.database import LedgerUnavailable
from proxy.callers.ledger.feeder import FileFeeder
from proxy.callers.ledger.file_id import file_id
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.log.files import NoLog
from tests.callers.ledger.reading import opened
from tests.callers.lines import DAY, NOW, call, log
from tests.support.ledgers import Connect, calls_by_caller

LATER = NOW + DAY
SOON = timedelta(minutes=2)


def clock() -> datetime:
    return LATER


def real_clock() -> datetime:
    return datetime.now(UTC)


def long_after() -> datetime:
    return datetime.now(UTC) + SOON


def append(path: Path, *records: Any) -> None:
    with path.open("ab") as file:
        file.write(log(*records))


def feed(feeding: FileFeeder) -> None:
    """What the keeper does in a pass."""
    if feeding.has_turn():
        feeding.feed()


def names(count: int, begin: int = 0) -> list[Any]:
    return [call(NOW, f"c{number}", request_id=f"r{number}") for number in range(begin, begin + count)]


def once(count: int) -> dict[str, int]:
    return {f"c{number}": 1 for number in range(count)}


def test_what_is_appended_is_counted_once(path: Path, ledger: Ledger) -> None:
    append(path, *names(3))
    feeding = FileFeeder(str(path), ledger, clock)
    feed(feeding)
    feed(feeding)
    append(path, *names(2, 3))
    feed(feeding)

    assert calls_by_caller(ledger) == once(5)


def test_a_log_that_does_not_exist_yet_is_counted_later(path: Path, ledger: Ledger) -> None:
    feeding = FileFeeder(str(path), ledger, clock)
    feed(feeding)
    append(path, *names(1))
    feed(feeding)

    assert calls_by_caller(ledger) == once(1)


@pytest.mark.parametrize("whole", [0, 1])
def test_an_incomplete_line_waits_for_its_end(path: Path, ledger: Ledger, whole: int) -> None:
    lines = log(*names(whole + 1))
    path.write_bytes(lines[:-20])
    feeding = FileFeeder(str(path), ledger, clock)
    feed(feeding)
    assert calls_by_caller(ledger) == once(whole)

    path.write_bytes(lines)
    feed(feeding)
    assert calls_by_caller(ledger) == once(whole + 1)


def rename(path: Path) -> None:
    path.rename(f"{path}.1")


def rename_and_compress(path: Path) -> None:
    Path(f"{path}.1.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def copy_and_truncate(path: Path) -> None:
    shutil.copy(path, f"{path}.1")
    os.truncate(path, 0)


def compress_late(path: Path) -> None:
    """The compressed file is not complete when it is seen first, and the first pass falls into that time."""
    rename(path)
    whole = gzip.compress(Path(f"{path}.1").read_bytes())
    Path(f"{path}.1.gz").write_bytes(whole[: len(whole) // 2])


def copy_and_grow(path: Path) -> None:
    """The truncated file is soon longer than it was."""
    copy_and_truncate(path)
    append(path, *[call(NOW, "late", request_id=f"l{number}") for number in range(50)])


ROTATIONS: list[Callable[[Path], None]] = [rename, rename_and_compress, copy_and_truncate, compress_late, copy_and_grow]


@pytest.mark.parametrize("rotate", ROTATIONS)
@pytest.mark.parametrize("process", ["the same", "the next"])
def test_nothing_is_lost_or_counted_twice_by_a_rotation(
    path: Path, ledger: Ledger, rotate: Callable[[Path], None], process: str
) -> None:
    append(path, *names(2))
    feeding = FileFeeder(str(path), ledger, real_clock)
    for _ in range(feeder._ROTATION_PASSES + 1):
        feed(feeding)
    append(path, *names(3, 2))
    if process == "the next":
        feed(feeding)
        feeding.close()
        append(path, *names(1, 5))
        feeding = FileFeeder(str(path), ledger, real_clock)
    rotate(path)
    append(path, *names(2, 6))
    feed(feeding)

    found = calls_by_caller(ledger)
    found.pop("late", None)
    assert found == (once(8) if process == "the next" else {**once(5), "c6": 1, "c7": 1})
    with ledger.content() as content:
        assert content.unreadable().days == {}


def test_one_of_several_processes_counts_and_another_follows_it(path: Path, ledger: Ledger, connect: Connect) -> None:
    one, other = FileFeeder(str(path), ledger, clock), FileFeeder(str(path), opened(connect), clock)
    append(path, *names(1))
    feed(one)
    append(path, *names(1, 1))
    feed(other)
    assert calls_by_caller(ledger) == once(1)

    one.close()
    append(path, *names(1, 2))
    feed(other)
    assert calls_by_caller(ledger) == once(3)


def test_a_ledger_that_was_away_is_caught_up_with(path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    append(path, *names(2))
    feeding = FileFeeder(str(path), ledger, clock)
    feed(feeding)
    append(path, *names(2, 2))
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "add", unavailable)
        with pytest.raises(LedgerUnavailable):
            feed(feeding)
    append(path, *names(2, 4))
    feed(feeding)

    assert calls_by_caller(ledger) == once(6)


def unavailable(*_: Any, **__: Any) -> None:
    raise LedgerUnavailable("gone")


def test_a_large_log_is_counted_in_parts(path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_counter, "_PART", 1000)
    append(path, *names(40))
    feed(FileFeeder(str(path), ledger, clock))

    assert calls_by_caller(ledger) == once(40)


def test_what_cannot_be_read_is_told_with_its_line(path: Path, ledger: Ledger) -> None:
    append(path, *names(1))
    feeding = FileFeeder(str(path), ledger, clock)
    feed(feeding)
    feeding.close()
    with path.open("ab") as file:
        file.write(log(call(NOW))[:60] + b"\n" + log(call(NOW, "c1")))
    feed(FileFeeder(str(path), ledger, clock))
    with ledger.content() as content:
        [(_, found)] = content.unreadable().days.items()

    assert (found.count, found.places) == (1, [f"{path}:2"])
    assert calls_by_caller(ledger) == once(2)


def test_the_end_of_a_log_that_was_deleted_is_counted(path: Path, ledger: Ledger) -> None:
    append(path, *names(1))
    feeding = FileFeeder(str(path), ledger, clock)
    feed(feeding)
    append(path, *names(1, 1))
    path.unlink()
    feed(feeding)
    append(path, *names(1, 2))
    feed(feeding)

    assert calls_by_caller(ledger) == once(3)


def test_what_comes_before_the_damage_is_counted_and_the_rest_is_told_once(path: Path, ledger: Ledger) -> None:
    append(path, *names(1))
    whole = gzip.compress(log(*names(500, 1)))
    Path(f"{path}.1.gz").write_bytes(whole[:-20])
    for _ in range(2):
        feeding = FileFeeder(str(path), ledger, long_after)
        feed(feeding)
        feed(feeding)
        feeding.close()
    with ledger.content() as content:
        [(_, found)] = content.unreadable().days.items()

    assert (found.count, found.places) == (1, [f"the rest of {path}.1.gz"])
    assert len(calls_by_caller(ledger)) > 400


@pytest.mark.parametrize(
    ("clocks", "times"),
    [([long_after] * 2, 1), ([real_clock, long_after, long_after], 2)],
    ids=["old", "may still be written at first"],
)
def test_rotated_files_that_are_counted_are_not_read_again(
    path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, clocks: list[Any], times: int
) -> None:
    read: list[str] = []

    def rest(position: Any, stream: Any) -> Any:
        read.append(position._name)
        return original(position, stream)

    original = file_counter._Position.rest
    monkeypatch.setattr(file_counter._Position, "rest", rest)
    append(path, *names(1))
    Path(f"{path}.1.gz").write_bytes(gzip.compress(log(*names(5, 1))))
    for now in clocks:  # each is another process
        feeding = FileFeeder(str(path), ledger, now)
        feed(feeding)
        feed(feeding)
        feeding.close()

    assert read.count(f"{path}.1.gz") == times
    assert calls_by_caller(ledger) == once(6)


def test_a_rotated_file_that_may_not_be_read_is_named_once_and_the_rest_is_counted(
    path: Path, ledger: Ledger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(name: str, *, grows: bool = False) -> str | None:
        if name.endswith(".1"):
            raise NoLog(f"{name}: Permission denied")
        return file_id(name, grows=grows)

    monkeypatch.setattr("proxy.callers.ledger.file_counter.file_id", refused)
    append(path, *names(1))
    append(Path(f"{path}.1"), *names(1, 1))
    feeding = FileFeeder(str(path), ledger, clock)
    feed(feeding)
    feed(feeding)

    assert calls_by_caller(ledger) == once(1)
    [said] = capsys.readouterr().err.splitlines()
    assert said == (
        f'trigger-shim: warning: log not counted reason="{path}.1: Permission denied": let the proxy read it'
    )


def test_where_files_cannot_be_locked_each_part_is_counted_once(
    path: Path, ledger: Ledger, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    both = [FileFeeder(str(path), each, clock) for each in (ledger, opened(connect))]
    for number in range(6):
        append(path, *names(1, number))
        feed(both[number % 2])
        feed(both[number % 2])

    assert calls_by_caller(ledger) == once(6)


def test_a_log_that_begins_with_an_empty_line_is_counted(path: Path, ledger: Ledger) -> None:
    path.write_bytes(b"\n\n" + log(*names(2)))
    feed(FileFeeder(str(path), ledger, clock))

    assert calls_by_caller(ledger) == once(2)


def test_the_backlog_is_what_is_not_counted(path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    append(path, *names(2))
    feeding = FileFeeder(str(path), ledger, clock)
    feed(feeding)
    assert feeding.backlog == 0

    append(path, *names(3, 2))
    monkeypatch.setattr(ledger, "add", unavailable)
    with pytest.raises(LedgerUnavailable):
        feed(feeding)
    assert feeding.backlog == len(log(*names(5)))


def test_a_ledger_that_was_replaced_gets_everything_again(path: Path, ledger: Ledger, connect: Connect) -> None:
    append(path, *names(1))
    rename(path)
    append(path, *names(1, 1))
    feeding = FileFeeder(str(path), ledger, long_after)
    feed(feeding)
    with connect().transaction(writes=True) as transaction:
        for table in ("calls", "details", "keys", "files"):
            transaction.execute(f"DELETE FROM {table}")  # noqa: S608
    append(path, *names(1, 2))
    for _ in range(3):
        feed(feeding)

    assert calls_by_caller(ledger) == once(3)


def test_a_ledger_that_is_another_one_when_it_is_back_gets_everything_again(
    path: Path, ledger: Ledger, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(path, *names(1))
    rename(path)
    append(path, *names(1, 1))
    feeding = FileFeeder(str(path), ledger, real_clock)
    for _ in range(feeder._ROTATION_PASSES + 1):
        feed(feeding)
    append(path, *names(1, 2))
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "add", unavailable)
        with pytest.raises(LedgerUnavailable):
            feed(feeding)
    path.write_bytes(log(*names(1, 1)))  # what was appended meanwhile does not show it
    with connect().transaction(writes=True) as transaction:
        for table in ("calls", "details", "keys", "files"):
            transaction.execute(f"DELETE FROM {table}")  # noqa: S608
    feed(feeding)

    assert calls_by_caller(ledger) == once(2)
