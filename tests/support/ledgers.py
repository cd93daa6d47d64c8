"""Ledgers for tests."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from proxy.callers.ledger.database import Database
from proxy.callers.ledger.postgresql import PostgresqlServer
from proxy.callers.ledger.sqlite import SqliteFile

Connect = Callable[[], Database]
"""Makes another connection to the same ledger."""


@contextlib.contextmanager
def connections(place: Path | str) -> Iterator[Connect]:
    """Connect to a ledger, in a file or at an address, until the end of the block."""
    made: list[Database] = []

    def connect() -> Database:
        made.append(SqliteFile(place) if isinstance(place, Path) else PostgresqlServer(place))
        return made[-1]

    yield connect
    for database in made:
        database.close()
