from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from proxy.callers.ledger.database import LedgerUnavailable
from proxy.callers.ledger.ledger import CountedMeanwhile, Day, Key, Ledger, Progress, key_id
from tests.support.ledgers import Connect

MONDAY = 739_948


def key(caller: str = "nightly", **values: Any) -> Key:
    known: dict[str, Any] = {
        "endpoint": "trigger", "caller": caller, "caller_source": "token", "outcome": "forwarded", "status": 200,
        "org": "acme", "repo": "shop", "repo_id": None, "workflow": "build", "owner": None, "token": "0123456789ab",
        "user_agent": "curl/8", "run_user": None, "client_ip": "10.0.0.1",
    }  # fmt: skip
    return tuple((known | values).values())


def day(caller: str = "nightly", number: int = MONDAY, first: int = 5, last: int = 9, **hours: int) -> Day:
    return Day(number, key(caller), first, last, {int(hour[1:]): calls for hour, calls in (hours or {"h2": 1}).items()})


def opened(connect: Connect) -> Ledger:
    ledger = Ledger(connect())
    ledger.open()
    return ledger


def rows(ledger: Ledger) -> set[tuple[Any, ...]]:
    [found] = [set(map(tuple, content.days(0, MONDAY * 2))) for content in ledger.read()]
    return found


def test_calls_of_several_processes_are_added_up(connect: Connect) -> None:
    one, other = opened(connect), opened(connect)
    one.count([day(first=50, last=60, h2=3, h23=1)])
    other.count([day(first=40, last=55, h2=1, h0=2), day("weekly"), day(number=MONDAY + 1)])

    nightly, weekly = key_id(key()), key_id(key("weekly"))
    assert rows(one) == {
        (MONDAY, nightly, 40, 60, 7, 1 << 23 | 1 << 2 | 1),
        (MONDAY, weekly, 5, 9, 1, 1 << 2),
        (MONDAY + 1, nightly, 5, 9, 1, 1 << 2),
    }
    [content] = [(content.keys(), list(content.hours(MONDAY + 1))) for content in other.read()]
    assert content[0] == {nightly: key(), weekly: key("weekly")}
    assert [row[6:] for row in content[1]] == [(0, 0, 1, *[0] * 21)]


def test_a_part_of_the_log_is_counted_once(connect: Connect) -> None:
    one, other = opened(connect), opened(connect)
    one.count([day()], Progress("f1", "callers.jsonl", 0, 700, at=1))
    with pytest.raises(CountedMeanwhile):
        other.count([day()], Progress("f1", "callers.jsonl", 0, 900, at=2))
    other.count([day()], Progress("f1", "callers.jsonl.1", 700, 900, at=3))

    assert (one.position("f1"), one.position("f2")) == ((900, 3), (0, 0))
    assert [row[4] for row in rows(one)] == [2]


def test_processes_that_count_the_same_callers_do_not_wait_for_each_other(connect: Connect) -> None:
    names = [f"caller{number}" for number in range(30)]

    def count(worker: int) -> None:
        ledger = opened(connect)
        for _ in range(10):
            ledger.count([day(name) for name in names[worker:] + names[:worker]])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(count, range(4)))
    assert {row[4] for row in rows(opened(connect))} == {40}


def test_a_ledger_of_a_later_version_is_refused(connect: Connect) -> None:
    opened(connect).close()
    database = connect()
    with database.transaction(writes=True) as transaction:
        transaction.execute("INSERT INTO versions (version) VALUES (99)")

    with pytest.raises(LedgerUnavailable, match="version 99, this proxy knows"):
        opened(connect)


def test_what_is_not_a_ledger_is_no_traceback(connect: Connect) -> None:
    with pytest.raises(LedgerUnavailable), pytest.raises(StopIteration):
        next(iter(Ledger(connect()).read()))
