"""What the ledger asks of a database."""

import select
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

Row = tuple[Any, ...]


NO_TABLES = "there is no ledger in it yet: a proxy makes it when it starts"


class LedgerUnavailable(Exception):
    """The database cannot be reached, or refuses what it is asked. The message says why and is shown to the user."""


class TablesMissing(LedgerUnavailable):
    """There are no tables, or those of an earlier version. A proxy creates or upgrades them when it starts."""


class Conflict(LedgerUnavailable):
    """The transaction met another one and was rolled back. It succeeds when it is repeated."""


class NotAllowed(LedgerUnavailable):
    """The role of this connection may not do what it tried."""


class Transaction(Protocol):
    """What is done in one go, or not at all. Statements are SQL with ``?`` for each parameter."""

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        """Run a statement, and return the number of rows that it changed."""

    def execute_each(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement once for each row of parameters."""

    def fetch(self, statement: str, parameters: Sequence[Any] = ()) -> Iterable[Row]:
        """Run a query. Its rows are valid until the transaction ends."""

    def stream(self, statement: str, parameters: Sequence[Any] = ()) -> Iterable[Row]:
        """Run a query with very many rows, which are read little by little, for memory; one such query at a time."""


class Database(Protocol):
    """One connection, made when it is needed and again after it was lost. For one thread at a time.

    Attributes:
        clock: an SQL expression: the time of the database in microseconds since 1970. The clocks of hosts differ.
    """

    clock: str

    def transaction(self, *, writes: bool) -> AbstractContextManager[Transaction]:
        """A transaction that is committed if the block ends, and rolled back if it raises.

        Raises:
            Conflict: it has to be repeated.
            LedgerUnavailable: the database cannot be reached, or refused a statement or the commit.
        """

    def lock_schema(self, transaction: Transaction) -> None:
        """Until the transaction ends, let no other one change the schema."""

    def notify(self, transaction: Transaction) -> None:
        """Have `wait` return in other connections once the transaction is committed."""

    def wait(self, wake: int, seconds: float) -> None:
        """Wait until another connection may have changed something.

        It returns at once after the connection was made, so whoever waits first and reads then misses no change.

        Args:
            wake: a descriptor; the wait ends when it is readable.
            seconds: longest time to wait. Some servers do not tell of changes, so it should be short.

        Raises:
            LedgerUnavailable: the database cannot be reached.
        """

    def close(self) -> None:
        """Close the connection."""


def wait_readable(descriptors: Iterable[int], seconds: float) -> bool:
    """Wait until a descriptor is readable, and return False after that time."""
    poll = select.poll()  # select() takes no descriptor above 1023
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
