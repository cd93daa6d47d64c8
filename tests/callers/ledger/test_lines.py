from datetime import timedelta
from typing import Any

import pytest

from proxy.callers.ledger import lines
from proxy.callers.ledger.database import LedgerUnavailable
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.ledger.lines import LineFeeder
from proxy.callers.record import Record
from tests.callers.ledger.reading import opened
from tests.callers.lines import NOW, beats, call, line
from tests.support.ledgers import Connect, calls_by_caller


@pytest.fixture
def ledger(connect: Connect) -> Ledger:
    return opened(connect)


@pytest.fixture
def feeder(ledger: Ledger) -> LineFeeder:
    return LineFeeder("process", ledger, lambda: NOW)


def put(feeder: LineFeeder, *records: Record) -> None:
    for record in records:
        feeder.put(line(record))


def lost(ledger: Ledger) -> int:
    with ledger.content() as content:
        return sum(life.first.lost for life in content.lives())


def test_lines_are_counted_once_and_are_a_backlog_until_then(feeder: LineFeeder, ledger: Ledger) -> None:
    put(feeder, call(NOW, "a"), call(NOW, "b"))
    assert feeder.backlog == len(line(call(NOW, "a"))) * 2
    feeder.feed()
    feeder.feed()
    put(feeder, call(NOW, "a"))
    feeder.feed()

    assert feeder.backlog == 0
    assert calls_by_caller(ledger) == {"a": 2, "b": 1}


def test_many_lines_are_counted_in_parts(feeder: LineFeeder, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "_PART", 3)
    put(feeder, *[call(NOW, "a")] * 10)
    feeder.feed()

    assert calls_by_caller(ledger) == {"a": 10}


@pytest.mark.parametrize("is_committed", [True, False])
def test_a_reply_that_was_lost_counts_nothing_twice_and_loses_nothing(
    feeder: LineFeeder, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, is_committed: bool
) -> None:
    def add(*args: Any, **options: Any) -> None:
        if is_committed:
            original(*args, **options)
        raise LedgerUnavailable("the connection broke")

    original = ledger.add
    put(feeder, *[call(NOW, "a")] * 2)
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "add", add)
        with pytest.raises(LedgerUnavailable):
            feeder.feed()
    put(feeder, *[call(NOW, "b")] * 3)
    feeder.feed()

    assert calls_by_caller(ledger) == {"a": 2, "b": 3}


def test_what_is_too_much_is_dropped_and_the_next_heartbeat_says_so(
    feeder: LineFeeder, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "BACKLOG", 2 * len(line(call(NOW, "a"))))
    put(feeder, *[call(NOW, "a")] * 5)
    feeder.feed()
    put(feeder, *beats(NOW, NOW))
    feeder.feed()
    put(feeder, *beats(NOW, NOW, "host:2"))
    feeder.feed()

    assert calls_by_caller(ledger) == {"a": 2}
    assert lost(ledger) == 3


def test_what_an_older_copy_of_the_ledger_lacks_is_told_as_lost(
    feeder: LineFeeder, ledger: Ledger, connect: Connect
) -> None:
    put(feeder, *[call(NOW, "a")] * 4)
    feeder.feed()
    with connect().transaction(writes=True) as transaction:
        transaction.execute("UPDATE files SET position = 1")
    put(feeder, call(NOW, "b"), *beats(NOW, NOW))
    feeder.feed()

    assert calls_by_caller(ledger)["b"] == 1
    assert lost(ledger) == 3


def test_what_a_killed_process_had_not_counted_stays_a_gap(feeder: LineFeeder, ledger: Ledger) -> None:
    minute = timedelta(minutes=1)
    put(feeder, *beats(NOW, NOW), call(NOW + minute, instance="host:1"))
    put(feeder, call(NOW + 2 * minute, instance="host:1", outcome="interrupted", status=500))
    feeder.feed()
    with ledger.content() as content:
        [life] = content.lives()

    assert (life.seen, life.has_stopped) == (NOW + minute, False)
    assert calls_by_caller(ledger) == {"nightly": 2}


def test_a_pass_ends_however_fast_lines_come(
    feeder: LineFeeder, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def add(*args: Any, **options: Any) -> None:
        original(*args, **options)
        put(feeder, call(NOW, "late"))

    original = ledger.add
    put(feeder, call(NOW, "a"))
    monkeypatch.setattr(ledger, "add", add)
    feeder.feed()

    assert calls_by_caller(ledger) == {"a": 1}
