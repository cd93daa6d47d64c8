"""Reads and writes the ledger."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from proxy.callers.ledger import schema
from proxy.callers.ledger.database import Database, Row, Transaction
from proxy.callers.ledger.schema import HOURS, KEY

Key = tuple[str | int | None, ...]
"""The values of the columns `schema.KEY`."""


class Day(NamedTuple):
    """The calls with one key on one day.

    Attributes:
        day: its ordinal.
        first, last: the times of the first and the last call, in microseconds since 1970.
        hours: the number of calls in each hour with calls.
    """

    day: int
    key: Key
    first: int
    last: int
    hours: Mapping[int, int]


class StoredDay(NamedTuple):
    """The calls with one key on one day, as reports need them.

    Attributes:
        key: the ID of the key.
        hours: a bit for each hour with calls.
    """

    day: int
    key: int
    first: int
    last: int
    calls: int
    hours: int


class Progress(NamedTuple):
    """How far a file of the caller log is counted.

    Attributes:
        file: the ID of the file.
        name: its path.
        begin: bytes that were counted before; if the ledger knows better, nothing is counted.
        end: bytes that are counted from now on.
        at: the time, in microseconds since 1970.
    """

    file: str
    name: str
    begin: int
    end: int
    at: int


class CountedMeanwhile(Exception):
    """Another process has counted the same part of the log."""


class Ledger:
    """What is known about calls, by day.

    Args:
        database: where it is stored.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self) -> None:
        """Create the tables, or bring them up to date.

        Raises:
            LedgerUnavailable: the database cannot be used.
        """
        schema.upgrade(self._database)

    def close(self) -> None:
        """Close the connection to the database."""
        self._database.close()

    def count(self, days: Iterable[Day], progress: Progress | None = None) -> None:
        """Add calls.

        Args:
            days: the calls.
            progress: where they were read. They are added and this is remembered, or neither.

        Raises:
            CountedMeanwhile: another process has added them; nothing was changed.
            LedgerUnavailable: nothing was changed, or the ledger was lost at the moment of the change.
        """
        # Processes that lock the same rows in different orders would wait for each other.
        rows = sorted((key_id(day.key), day) for day in days)
        with self._database.transaction(writes=True) as transaction:
            if progress is not None:
                _advance(transaction, progress)
            keys = {number: day.key for number, day in rows}
            transaction.execute_each(_ADD_KEY, ((number, *key) for number, key in keys.items()))
            transaction.execute_each(_ADD_CALLS, (_row(number, day) for number, day in rows))

    def position(self, file: str) -> tuple[int, int]:
        """How many bytes of a file are counted, and when that was found, in microseconds since 1970."""
        with self._database.transaction(writes=False) as transaction:
            found = list(transaction.fetch("SELECT position, counted FROM files WHERE id = ?", [file]))
        return (found[0][0], found[0][1]) if found else (0, 0)

    def read(self) -> Iterator["Content"]:
        """What the ledger holds at one moment."""
        with self._database.transaction(writes=False) as transaction:
            schema.check(transaction)
            yield Content(transaction)


class Content:
    """What a ledger holds."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def keys(self) -> dict[int, Key]:
        """All keys by their IDs."""
        return {row[0]: row[1:] for row in self._transaction.fetch(f"SELECT id, {', '.join(KEY)} FROM keys")}

    def days(self, begin: int, end: int) -> Iterable[Row]:
        """The calls from a day on and before another one, as rows with the fields of `StoredDay`."""
        return self._transaction.fetch(_DAYS, [begin, end])

    def hours(self, day: int) -> Iterable[Row]:
        """The calls on one day, as `days` has them, and after that the number in each hour."""
        return self._transaction.fetch(_HOURS, [day])


def key_id(key: Key) -> int:
    """The ID of a key: the same in all processes."""
    digest = hashlib.blake2b(msgspec.msgpack.encode(key), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def _row(number: int, day: Day) -> Sequence[int]:
    calls, bits = sum(day.hours.values()), sum(1 << hour for hour in day.hours)
    return day.day, number, day.first, day.last, calls, bits, *(day.hours.get(hour, 0) for hour in range(24))


def _advance(transaction: Transaction, progress: Progress) -> None:
    transaction.execute(
        "INSERT INTO files (id, name, position, counted) VALUES (?, ?, 0, 0) ON CONFLICT (id) DO NOTHING",
        [progress.file, progress.name],
    )
    changed = transaction.execute(
        "UPDATE files SET position = ?, name = ?, counted = ? WHERE id = ? AND position = ?",
        [progress.end, progress.name, progress.at, progress.file, progress.begin],
    )
    if not changed:
        raise CountedMeanwhile


def _marks(count: int) -> str:
    return ", ".join("?" * count)


_ADD_KEY = f"INSERT INTO keys (id, {', '.join(KEY)}) VALUES ({_marks(1 + len(KEY))}) ON CONFLICT (id) DO NOTHING"
_DAY = "day, key, first, last, calls, hours"
_ADD_CALLS = (
    f"INSERT INTO calls ({_DAY}, {', '.join(HOURS)}) VALUES ({_marks(6 + len(HOURS))})"
    " ON CONFLICT (day, key) DO UPDATE SET"
    " first = CASE WHEN excluded.first < calls.first THEN excluded.first ELSE calls.first END,"
    " last = CASE WHEN excluded.last > calls.last THEN excluded.last ELSE calls.last END,"
    " calls = calls.calls + excluded.calls, hours = calls.hours | excluded.hours, "
    + ", ".join(f"{hour} = calls.{hour} + excluded.{hour}" for hour in HOURS)
)
_DAYS = f"SELECT {_DAY} FROM calls WHERE day >= ? AND day < ?"
_HOURS = f"SELECT {_DAY}, {', '.join(HOURS)} FROM calls WHERE day = ?"
