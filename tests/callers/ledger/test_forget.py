from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from proxy.callers.ledger import engines
from proxy.callers.ledger.counts import Key
from proxy.callers.ledger.forget import DailyForgetting, forget_callers, forget_persons
from proxy.callers.ledger.ledger import Content, Ledger
from proxy.callers.ledger.schema import KEY
from proxy.callers.record import CallRecord
from tests.callers.ledger.reading import opened
from tests.callers.lines import DAY, NOW, call
from tests.support.ledgers import Connect, calls_by_caller, fill

OLD, RECENT = NOW - 70 * DAY, NOW - 10 * DAY
BEFORE = (NOW - 62 * DAY).toordinal()


def person(at: datetime, user: str = "alice", address: str = "10.1.2.3", **fields: Any) -> CallRecord:
    return call(at, run_user=user, client_ip=address, **fields)


def read(ledger: Ledger, ask: Callable[[Content], Any]) -> Any:
    with ledger.content() as content:
        return ask(content)


def persons(ledger: Ledger) -> list[tuple[str, str | None, str | None, int]]:
    """Each caller on each day, with its user and address, and the number of calls."""
    keys = {number: dict(zip(KEY, key, strict=True)) for number, key in read(ledger, Content.keys).items()}
    rows = read(ledger, lambda content: list(content.days(0, 10**6)))
    return [(keys[n]["caller"], keys[n]["run_user"], keys[n]["client_ip"], calls) for _, n, _, _, calls, _ in rows]


def test_old_calls_lose_their_user_and_keep_their_network(connect: Connect, address: str) -> None:
    fill(address, person(OLD), person(OLD, "bob", "10.1.2.4"), person(OLD, "bob", "2001:db8:1:2::3"), person(RECENT))
    ledger = opened(connect)

    assert forget_persons(connect(), BEFORE) == 1
    assert set(persons(ledger)) == {
        ("nightly", None, "10.1.2.0", 2),
        ("nightly", None, "2001:db8:1::", 1),
        ("nightly", "alice", "10.1.2.3", 1),
    }
    assert forget_persons(connect(), BEFORE) == 0


def test_a_name_that_is_an_address_is_forgotten_too(connect: Connect, address: str) -> None:
    fill(address, person(OLD, caller="10.1.2.3 curl/8", caller_source="address", token=None))
    forget_persons(connect(), BEFORE)

    assert calls_by_caller(opened(connect)) == {"10.1.2.0 curl/8": 1}


def test_times_and_details_of_the_calls_are_kept(connect: Connect, address: str) -> None:
    hour = timedelta(hours=1)
    fill(address, person(OLD, status=502), person(OLD + 3 * hour, "bob", status=502), person(OLD + 5 * hour, "bob"))
    ledger = opened(connect)
    forget_persons(connect(), BEFORE)

    rows = read(ledger, lambda content: list(content.hours(OLD.toordinal())))
    assert sorted([row[4], row[5], row[6:12]] for row in rows) == [
        [1, 1 << 5, (0, 0, 0, 0, 0, 1)],
        [2, 0b1001, (1, 0, 0, 1, 0, 0)],
    ]
    details = read(ledger, lambda content: dict(content.details([row[1] for row in rows])))
    assert sorted(detail.errors.get("502 forwarded", 0) for detail in details.values()) == [0, 2]
    assert len(read(ledger, Content.keys)) == 2


def test_what_is_counted_meanwhile_is_not_lost(connect: Connect, address: str) -> None:
    fill(address, *[person(OLD - number * DAY) for number in range(20)])

    def count(_: int) -> None:
        fill(address, *[person(OLD - number * DAY) for number in range(20)])

    def drop(_: int) -> None:
        forget_persons(connect(), BEFORE)

    with ThreadPoolExecutor(6) as threads:
        jobs = [threads.submit(job, number) for number in range(8) for job in (count, drop)]
    assert [job.exception() for job in jobs] == [None] * 16
    assert calls_by_caller(opened(connect)) == {"nightly": 180}


def test_a_caller_is_removed_entirely(connect: Connect, address: str) -> None:
    fill(address, person(OLD), person(RECENT), call(RECENT, "weekly"))

    def is_nightly(key: Key) -> bool:
        return bool(key[KEY.index("caller")] == "nightly")

    assert forget_callers(connect(), is_nightly) == 2
    ledger = opened(connect)
    assert calls_by_caller(ledger) == {"weekly": 1}
    [number] = read(ledger, Content.keys)
    with connect().transaction(writes=False) as transaction:
        assert list(transaction.fetch("SELECT key FROM details")) == [(number,)]
    assert forget_callers(connect(), is_nightly) == 0


def test_persons_are_forgotten_once_a_day(connect: Connect, address: str) -> None:
    now = [NOW]
    daily = DailyForgetting(connect(), 62 * DAY, lambda: now[0])
    fill(address, person(OLD), person(NOW - 62 * DAY))
    daily()
    ledger = opened(connect)
    assert {user for _, user, _, _ in persons(ledger)} == {None, "alice"}
    fill(address, person(OLD))
    now[0] = NOW + timedelta(hours=23)
    daily()
    assert sum(calls for _, user, _, calls in persons(ledger) if user) == 2
    now[0] = NOW + DAY
    daily()
    assert {user for _, user, _, _ in persons(ledger)} == {None}


def test_without_an_age_nothing_is_forgotten(connect: Connect, address: str) -> None:
    fill(address, person(OLD))
    DailyForgetting(connect(), None, lambda: NOW)()

    assert {user for _, user, _, _ in persons(opened(connect))} == {"alice"}


def test_a_failure_is_logged_and_tried_again_after_an_hour(tmp_path: Path) -> None:
    now, address = [NOW], str(tmp_path / "callers.db")
    daily = DailyForgetting(engines.connect(address), DAY, lambda: now[0])
    with capture_logs() as events:
        daily()
        fill(address, person(OLD))
        now[0] += timedelta(minutes=59)
        daily()
        assert [user for _, user, _, _ in persons(Ledger(engines.connect(address)))] == ["alice"]
        now[0] += timedelta(minutes=1)
        daily()

    assert [event["event"] for event in events] == ["ledger_not_forgotten"]
    assert {user for _, user, _, _ in persons(Ledger(engines.connect(address)))} == {None}
