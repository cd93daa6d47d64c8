from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest

from tests.callers.ledger.reading import counted, opened
from tests.callers.lines import DAY, NOW, call
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


def test_processes_that_count_the_same_callers_do_not_wait_for_each_other(connect: Connect) -> None:
    names = [f"caller{number}" for number in range(30)]

    def count(worker: int) -> None:
        ledger = opened(connect)
        for _ in range(10):
            ledger.add(counted(*[call(NOW, name) for name in names[worker:] + names[:worker]]))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(count, range(4)))
    assert calls_by_caller(opened(connect)) == dict.fromkeys(names, 40)


@pytest.mark.parametrize("hour", [0, 8, 23])
def test_calls_are_added_up_between_two_hours(connect: Connect, hour: int) -> None:
    begin, end = MIDNIGHT - 3 * DAY + hour * HOUR, MIDNIGHT + hour * HOUR
    moments = {begin - HOUR: 1, begin: 10, begin + DAY: 100, end - timedelta(microseconds=1): 1000, end: 10_000}
    ledger = opened(connect)
    ledger.add(counted(*[call(moment) for moment, number in moments.items() for _ in range(number)]))

    with ledger.content() as content:
        [(key, calls)] = content.calls_between(begin, end)
        assert content.keys()[key][1] == "nightly"
        assert calls == 1110
        assert list(content.calls_between(begin - 9 * DAY, begin - 2 * DAY)) == []


def test_refused_calls_are_known_by_the_hour(connect: Connect) -> None:
    ledger = opened(connect)
    refused = [call(MIDNIGHT + hours * HOUR, outcome="brownout", status=410) for hours in (8, 8, 9)]
    ledger.add(counted(*refused, call(MIDNIGHT)))

    with ledger.content() as content:
        [(day, key, *hours)] = content.refused_hours()
        assert (day, content.keys()[key][3]) == (MIDNIGHT.toordinal(), "brownout")
    assert hours == [*[0] * 8, 2, 1, *[0] * 14]
