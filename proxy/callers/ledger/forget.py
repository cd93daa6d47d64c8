"""Removes from the ledger what it shall not hold any longer: persons after some time, or one caller."""

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta

from proxy.callers.ledger import schema
from proxy.callers.ledger.counts import Key, key_id, without_person
from proxy.callers.ledger.database import Conflict, Database, LedgerUnavailable, Row, Transaction
from proxy.callers.ledger.details import KeyDetails
from proxy.callers.ledger.ledger import Content, repeated
from proxy.callers.ledger.tables.calls import ADD_CALLS, ADD_KEY
from proxy.callers.ledger.tables.details import add_details
from proxy.output.diagnostics import log

_AT_ONCE = 500
"""Keys that are removed in one transaction."""

_PAUSE = timedelta(hours=1)
"""Time until it is tried again after a failure."""


def forget_persons(database: Database, before: int) -> int:
    """Drop the addresses and users of calls. Of an address, the network stays (`counts.without_person`).

    Each day is one transaction, so it can be interrupted, and other processes can go on counting.

    Args:
        database: of the ledger.
        before: the first day to keep, as an ordinal.

    Returns:
        The number of days that were changed.

    Raises:
        LedgerUnavailable: only some days were changed.
    """
    with database.transaction(writes=False) as transaction:
        schema.check(transaction)
        keys = Content(transaction).keys()
        personal = {number: key for number, key in keys.items() if without_person(key) != key}
        calls = transaction.fetch("SELECT day, key FROM calls WHERE day < ?", [before])
        days = sorted({day for day, number in calls if number in personal})
    for day in days:
        repeated(database, functools.partial(_rewrite, day=day, personal=personal))
    for part in _parts(list(personal)):
        repeated(database, functools.partial(_remove_unused, numbers=part, keys=personal))
    return len(days)


def forget_callers(database: Database, is_meant: Callable[[Key], bool]) -> int:
    """Remove all calls with some keys.

    Returns:
        Their number.

    Raises:
        LedgerUnavailable: only some of them were removed.
    """
    with database.transaction(writes=False) as transaction:
        schema.check(transaction)
        meant = [number for number, key in Content(transaction).keys().items() if is_meant(key)]
    return sum(repeated(database, functools.partial(_remove, numbers=part)) for part in _parts(meant))


class DailyForgetting:
    """Forgets persons once a day, while the ledger is kept.

    Args:
        database: of the ledger.
        age: the age from which on calls have no persons; None for never.
        now: the time, UTC.
    """

    def __init__(self, database: Database, age: timedelta | None, now: Callable[[], datetime]) -> None:
        self._database, self._age, self._now = database, age, now
        self._next: datetime | None = None

    def __call__(self) -> None:
        """Forget, if it is time to. A failure is logged, and it is tried again later."""
        now = self._now()
        if self._age is None or (self._next is not None and now < self._next):
            return
        try:
            forget_persons(self._database, (now - self._age).toordinal())
        except LedgerUnavailable as problem:
            log.warning("ledger_not_forgotten", reason=str(problem))
            self._next = now + _PAUSE
        else:
            self._next = now + timedelta(days=1)
        self._database.close()


def _rewrite(transaction: Transaction, day: int, personal: Mapping[int, Key]) -> None:
    numbers = [number for (number,) in transaction.fetch("SELECT key FROM calls WHERE day = ?", [day])]
    for part in _parts(sorted(personal.keys() & set(numbers))):
        rows = _locked(transaction, day, part)
        keys = {row[1]: without_person(personal[row[1]]) for row in rows}
        transaction.execute_each(ADD_KEY, sorted((key_id(key), *key) for key in set(keys.values())))
        transaction.execute_each(ADD_CALLS, sorted((day, key_id(keys[row[1]]), *row[2:]) for row in rows))
        transaction.execute_each("DELETE FROM calls WHERE day = ? AND key = ?", sorted((day, row[1]) for row in rows))


def _locked(transaction: Transaction, day: int, keys: Sequence[int]) -> list[Row]:
    """The calls on a day with some keys. Nobody else changes them until the transaction ends."""
    lock = f"UPDATE calls SET calls = calls WHERE day = ? AND key IN {_list(keys)}"
    locked = transaction.execute(lock, [day, *keys])
    rows = [row for row in Content(transaction).hours(day) if row[1] in set(keys)]
    if len(rows) != locked:
        raise Conflict("calls were counted at the same time")
    return rows


def _remove_unused(transaction: Transaction, numbers: Sequence[int], keys: Mapping[int, Key]) -> None:
    query = f"SELECT id FROM keys WHERE id IN {_list(numbers)} AND id NOT IN (SELECT key FROM calls)"
    unused = [number for (number,) in transaction.fetch(query, numbers)]
    if not unused:
        return
    kept: dict[Key, KeyDetails] = {}
    for number, details in Content(transaction).details(unused):
        kept.setdefault(without_person(keys[number]), KeyDetails()).merge(details)
    transaction.execute_each(ADD_KEY, sorted((key_id(key), *key) for key in kept))
    add_details(transaction, kept)
    transaction.execute(f"DELETE FROM details WHERE key IN {_list(unused)}", unused)
    transaction.execute(f"DELETE FROM keys WHERE id IN {_list(unused)}", unused)


def _remove(transaction: Transaction, numbers: Sequence[int]) -> int:
    [(calls,)] = transaction.fetch(f"SELECT COALESCE(SUM(calls), 0) FROM calls WHERE key IN {_list(numbers)}", numbers)
    for table, column in (("calls", "key"), ("details", "key"), ("keys", "id")):
        transaction.execute(f"DELETE FROM {table} WHERE {column} IN {_list(numbers)}", numbers)
    unknown = "token NOT IN (SELECT token FROM keys WHERE token IS NOT NULL)"
    transaction.execute(f"DELETE FROM current_calls WHERE {unknown}")
    return int(calls)


def _parts(numbers: Sequence[int]) -> list[Sequence[int]]:
    return [numbers[begin : begin + _AT_ONCE] for begin in range(0, len(numbers), _AT_ONCE)]


def _list(numbers: Collection[int]) -> str:
    return f"({', '.join('?' * len(numbers))})"
