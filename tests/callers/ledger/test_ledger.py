from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from proxy.callers.ledger.database import LedgerUnavailable
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.ledger.tables.files import Counted, CountedMeanwhile, Progress
from proxy.callers.log.lives import Lives
from proxy.callers.log.unreadable import Unreadable
from proxy.callers.record import CallRecord, Heartbeat
from tests.callers.ledger.reading import counted, opened
from tests.callers.lines import DAY, NOW, beats, call
from tests.support.ledgers import Connect, calls_by_caller

MIDNIGHT = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
HOUR = timedelta(hours=1)


def micro(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)


def test_calls_of_several_processes_are_added_up(connect: Connect) -> None:
    one, other = opened(connect), opened(connect)
    at_two, late = MIDNIGHT + 2 * HOUR, MIDNIGHT + 23 * HOUR
    one.add(counted(call(late), *[call(at_two + timedelta(minutes=n)) for n in range(3)]))
    other.add(counted(call(MIDNIGHT), call(at_two - timedelta(seconds=1)), call(at_two - DAY), call(at_two, "weekly")))

    with one.content() as content:
        names = {number: key[1] for number, key in content.keys().items()}
        found = {(row[0] - MIDNIGHT.toordinal(), names[row[1]]): tuple(row[2:]) for row in content.days(0, 10**6)}
        [hours] = [row[6:] for row in content.hours(MIDNIGHT.toordinal()) if names[row[1]] == "nightly"]
    assert found == {
        (0, "nightly"): (micro(MIDNIGHT), micro(late), 6, 1 << 23 | 0b111),
        (0, "weekly"): (micro(at_two), micro(at_two), 1, 0b100),
        (-1, "nightly"): (micro(at_two - DAY), micro(at_two - DAY), 1, 0b100),
    }
    assert hours == (1, 1, 3, *[0] * 20, 1)


def test_a_part_of_the_log_is_counted_once(connect: Connect) -> None:
    one, other = opened(connect), opened(connect)
    one.add(counted(call(NOW)), progress=Progress("f1", "callers.jsonl", 0, 700, NOW))
    with pytest.raises(CountedMeanwhile):
        other.add(counted(call(NOW)), progress=Progress("f1", "callers.jsonl", 0, 900, NOW))
    other.add(counted(call(NOW)), progress=Progress("f1", "callers.jsonl.1", 700, 900, NOW + DAY, 2))

    assert one.counted("f1") == Counted(900, 2, NOW + DAY, [])
    assert one.counted("f2") is None
    assert calls_by_caller(one) == {"nightly": 2}


def test_processes_that_count_the_same_callers_do_not_wait_for_each_other(connect: Connect) -> None:
    names = [f"caller{number}" for number in range(30)]

    def count(worker: int) -> None:
        ledger = opened(connect)
        for _ in range(10):
            ledger.add(counted(*[call(NOW, name) for name in names[worker:] + names[:worker]]))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(count, range(4)))
    assert calls_by_caller(opened(connect)) == dict.fromkeys(names, 40)


def test_the_last_calls_and_what_they_said_are_kept(connect: Connect) -> None:
    one, other = opened(connect), opened(connect)
    one.add(counted(*[call(NOW + timedelta(minutes=n), ignored_fields=["image"], inputs=["env"]) for n in range(8)]))
    other.add(counted(*[call(NOW - timedelta(minutes=n), inputs=["mode"], request_id=f"r{n}") for n in range(1, 9)]))
    with one.content() as content:
        [(_, details)] = content.details(list(content.keys()))

    assert [last.ts for last in details.last_calls] == [NOW + timedelta(minutes=n) for n in range(-2, 8)]
    assert (details.ignored_fields, details.inputs) == ({"image": 8}, ["env", "mode"])
    assert (details.last, details.method) == (NOW + timedelta(minutes=7), "POST")


def lives(found: Any) -> list[tuple[Any, ...]]:
    return [(life.first, life.last_beat, life.seen, life.due, life.has_stopped) for life in found]


@pytest.mark.parametrize("size", [1, 3, 100])
def test_lives_are_those_of_the_log_however_they_come(connect: Connect, size: int) -> None:
    ledger = opened(connect)
    heartbeats = [*beats(NOW - 3 * DAY, NOW - DAY), *beats(NOW - 12 * HOUR)]
    records: list[CallRecord | Heartbeat] = [*heartbeats, call(NOW, instance=heartbeats[0].instance)]
    for begin in range(0, len(records), size):
        ledger.add(counted(*records[begin : begin + size]))
    with ledger.content() as content:
        stored = lives(content.lives())

    expected = Lives(heartbeats)
    [mine] = expected.by_process()
    mine[-1].seen = NOW
    assert stored == lives(mine)


def test_what_cannot_be_read_is_kept_by_day(connect: Connect) -> None:
    ledger = opened(connect)
    for last, places in ((NOW + HOUR, "ab"), (NOW, "cd"), (None, "e")):
        found = Unreadable()
        for place in places:
            found.add(f"{place}.jsonl line 1", last, 2)
        ledger.add(counted(), found)
    with ledger.content() as content:
        days = content.unreadable().days

    assert {day: (each.count, each.last, each.places) for day, each in days.items()} == {
        NOW.toordinal(): (8, NOW + HOUR, ["a.jsonl line 1", "b.jsonl line 1", "c.jsonl line 1"]),
        None: (2, None, ["e.jsonl line 1"]),
    }


def test_tokens_that_the_service_accepted_are_known(connect: Connect) -> None:
    ledger = opened(connect)
    ledger.add(counted(call(NOW, token="0" * 12), call(NOW, token="1" * 12, status=401), call(NOW, token=None)))

    assert ledger.proven_tokens() == ["0" * 12]


def test_what_is_not_a_ledger_is_refused(connect: Connect) -> None:
    with pytest.raises(LedgerUnavailable), Ledger(connect()).content():
        pass
