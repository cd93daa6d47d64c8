"""Reads and writes the ledger."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TypeVar

from proxy.callers.ledger import schema
from proxy.callers.ledger.counts import Counts, Key
from proxy.callers.ledger.database import Conflict, Database, Row, Transaction
from proxy.callers.ledger.details import KeyDetails
from proxy.callers.ledger.schema import KEY
from proxy.callers.ledger.tables import calls, details, files, letters, lives, unreadable
from proxy.callers.ledger.tables.files import Counted, Progress
from proxy.callers.log.lives import Life
from proxy.callers.log.unreadable import Unreadable

_ATTEMPTS = 5
"""How often a transaction is tried that meets others."""


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

    def add(self, counts: Counts, unreadable: Unreadable | None = None, progress: Progress | None = None) -> None:
        """Add what was read in a part of the log.

        Args:
            counts: the records.
            unreadable: what cannot be read and may be calls.
            progress: the part of the log. It is remembered if the rest is added, and only then.

        Raises:
            CountedMeanwhile: another process has added this part; nothing was changed.
            LedgerUnavailable: nothing was changed, or the connection broke at the moment of the change.
        """
        repeated(self._database, lambda transaction: _add(transaction, counts, unreadable, progress))

    def counted(self, file: str) -> Counted | None:
        """How far a file is counted; None if nobody has begun."""
        with self._database.transaction(writes=False) as transaction:
            return files.counted(transaction, file)

    def progress(self) -> Row:
        """What differs once another part of a log is counted; cheap enough to look at each second."""
        with self._database.transaction(writes=False) as transaction:
            query = "SELECT COUNT(*), COALESCE(SUM(position), 0), COALESCE(MAX(counted), 0) FROM files"
            [row] = transaction.fetch(query)
            return row

    def proven_tokens(self) -> list[str]:
        """Fingerprints of the tokens that the service has accepted."""
        with self._database.transaction(writes=False) as transaction:
            query = "SELECT DISTINCT token FROM keys WHERE status < 400 AND token IS NOT NULL"
            return [token for (token,) in transaction.fetch(query)]

    def keys_of_strangers(self) -> set[int]:
        """The IDs of the keys of calls without a token that the service has accepted."""
        with self._database.transaction(writes=False) as transaction:
            proven = "SELECT token FROM keys WHERE status < 400 AND token IS NOT NULL"
            query = f"SELECT id FROM keys WHERE token IS NULL OR token NOT IN ({proven})"
            return {number for (number,) in transaction.fetch(query)}

    def fingerprint_key(self, proposed: bytes) -> bytes:
        """The key of the fingerprints; the proposed one if there is none yet.

        Raises:
            LedgerUnavailable: it cannot be read.
        """
        with self._database.transaction(writes=True) as transaction:
            add = "INSERT INTO secrets (name, value) VALUES ('fingerprint_key', ?) ON CONFLICT DO NOTHING"
            transaction.execute(add, [proposed.decode()])
            [(key,)] = transaction.fetch("SELECT value FROM secrets WHERE name = 'fingerprint_key'")
        return str(key).encode()

    def last_letters(self) -> dict[str, datetime]:
        """When each owner had the last letter."""
        with self._database.transaction(writes=False) as transaction:
            return letters.last_letters(transaction)

    def check_letters(self) -> None:
        """Check that letters can be remembered.

        Raises:
            NotAllowed: the role may not write to their table.
            LedgerUnavailable: the ledger cannot be written.
        """
        repeated(self._database, letters.check_letters)

    def add_letters(self, owners: Iterable[str], written: datetime) -> None:
        """Remember letters that were written at the same time."""
        repeated(self._database, lambda transaction: letters.add_letters(transaction, list(owners), written))

    @contextlib.contextmanager
    def content(self) -> Iterator["Content"]:
        """What the ledger holds at one moment.

        Raises:
            LedgerUnavailable: the database cannot be used, also while the block runs.
        """
        with self._database.transaction(writes=False) as transaction:
            schema.check(transaction)
            yield Content(transaction)


_Result = TypeVar("_Result")


def repeated(database: Database, change: Callable[[Transaction], _Result]) -> _Result:
    """Change something in one transaction, and again if it met another one.

    Raises:
        LedgerUnavailable: it is not changed.
    """
    for _ in range(_ATTEMPTS - 1):
        with contextlib.suppress(Conflict), database.transaction(writes=True) as transaction:
            return change(transaction)
    with database.transaction(writes=True) as transaction:
        return change(transaction)


class Content:
    """What a ledger holds."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def keys(self) -> dict[int, Key]:
        """All keys by their IDs."""
        return {row[0]: row[1:] for row in self._transaction.fetch(f"SELECT id, {', '.join(KEY)} FROM keys")}

    def days(self, begin: int, end: int) -> Iterable[Row]:
        """The calls from a day on and before another one: `calls.DAY_COLUMNS`."""
        return self._transaction.stream(calls.SELECT_DAYS, [begin, end])

    def hours(self, day: int) -> Iterable[Row]:
        """The calls on one day: `calls.DAY_COLUMNS`, and after that their number in each hour."""
        return self._transaction.fetch(calls.SELECT_HOURS, [day])

    def details(self, keys: Sequence[int]) -> Iterator[tuple[int, KeyDetails]]:
        """The details of calls, each with the ID of the key."""
        return details.details_of(self._transaction, keys)

    def lives(self) -> Iterator[Life]:
        """The lives of the processes that wrote the log, those of each process in order of time."""
        return lives.lives(self._transaction)

    def unreadable(self) -> Unreadable:
        """What may be calls and cannot be read."""
        return unreadable.unreadable(self._transaction)


def _add(
    transaction: Transaction, counts: Counts, unreadable_parts: Unreadable | None, progress: Progress | None
) -> None:
    if progress is not None:
        files.advance(transaction, progress)
    calls.add_calls(transaction, counts.days)
    details.add_details(transaction, counts.details())
    lives.add_lives(transaction, counts.heartbeats, counts.seen)
    if unreadable_parts is not None:
        unreadable.add_unreadable(transaction, unreadable_parts.days)
