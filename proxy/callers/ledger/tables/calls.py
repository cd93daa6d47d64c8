"""How many calls there were with each key, by day and hour."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from proxy.callers.ledger.counts import DayCount, Key, key_id
from proxy.callers.ledger.database import Transaction
from proxy.callers.ledger.schema import HOURS, KEY, to_microseconds

DAY_COLUMNS = ("day", "key", "first", "last", "calls", "hours")
"""Columns of the calls of one day with one key: `hours` has a bit for each hour with calls."""

_DAY = ", ".join(DAY_COLUMNS)
ADD_KEY = f"INSERT INTO keys (id, {', '.join(KEY)}) VALUES ({', '.join('?' * (1 + len(KEY)))}) ON CONFLICT DO NOTHING"
ADD_CALLS = (
    f"INSERT INTO calls ({_DAY}, {', '.join(HOURS)}) VALUES ({', '.join('?' * (6 + len(HOURS)))})"
    " ON CONFLICT (day, key) DO UPDATE SET"
    " first = CASE WHEN excluded.first < calls.first THEN excluded.first ELSE calls.first END,"
    " last = CASE WHEN excluded.last > calls.last THEN excluded.last ELSE calls.last END,"
    " calls = calls.calls + excluded.calls, hours = calls.hours | excluded.hours, "
    + ", ".join(f"{hour} = calls.{hour} + excluded.{hour}" for hour in HOURS)
)
SELECT_DAYS = f"SELECT {_DAY} FROM calls WHERE day >= ? AND day < ?"
SELECT_HOURS = f"SELECT {_DAY}, {', '.join(HOURS)} FROM calls WHERE day = ?"

SELECT_REFUSED = (
    f"SELECT day, key, {', '.join(HOURS)} FROM calls WHERE key IN (SELECT id FROM keys WHERE outcome = 'brownout')"
)


def add_calls(transaction: Transaction, days: Mapping[tuple[int, Key], DayCount]) -> None:
    """Add calls by day, as an ordinal, and key."""
    ids = {key: key_id(key) for _, key in days}
    # In this order: processes that lock the same rows in different orders would wait for each other for ever.
    ordered = sorted((ids[key], day, count) for (day, key), count in days.items())
    transaction.execute_each(ADD_KEY, sorted((number, *key) for key, number in ids.items()))
    transaction.execute_each(ADD_CALLS, (_row(number, day, count) for number, day, count in ordered))


def calls_between(transaction: Transaction, begin: datetime, end: datetime) -> Iterable[tuple[int, int]]:
    """The number of calls with each key, of those with any.

    Args:
        transaction: reads the ledger.
        begin: a full hour.
        end: the same hour of a later day.
    """
    early, late = " + ".join(("0", *HOURS[: end.hour])), " + ".join(HOURS[begin.hour :])
    query = (
        f"SELECT key, CAST(SUM(CASE WHEN day = ? THEN {late} WHEN day = ? THEN {early} ELSE calls END) AS BIGINT)"
        " FROM calls WHERE day BETWEEN ? AND ? GROUP BY key"
    )
    first, last = begin.toordinal(), end.toordinal()
    return ((key, calls) for key, calls in transaction.fetch(query, [first, last, first, last]) if calls)


def _row(number: int, day: int, count: DayCount) -> Sequence[int]:
    calls, bits = sum(count.hours.values()), sum(1 << hour for hour in count.hours)
    hours = (count.hours.get(hour, 0) for hour in range(24))
    return day, number, to_microseconds(count.first), to_microseconds(count.last), calls, bits, *hours
