"""Ledgers in every engine: fixtures for a conftest.py to import."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proxy.callers.ledger import engines
from proxy.callers.ledger.database import Database, LedgerUnavailable
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.ledger.postgresql import PostgresqlServer
from proxy.callers.ledger.sqlite import SqliteFile
from tests.support.postgresql import Postgresql, postgresql

Connect = Callable[[], Database]
"""Makes another connection to the same ledger."""


@pytest.fixture(scope="session")
def server() -> Iterator[Postgresql]:
    with postgresql() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connect]:
    made: list[Database] = []
    if request.param == "sqlite":
        path = tmp_path / "callers.db"

        def another() -> Database:
            made.append(SqliteFile(path))
            return made[-1]
    else:
        address = request.getfixturevalue("server").new_database()

        def another() -> Database:
            made.append(PostgresqlServer(address))
            return made[-1]

    yield another
    for database in made:
        database.close()


def calls_by_caller(ledger: Ledger) -> dict[str, int]:
    """The number of calls in a ledger, by the name of their caller."""
    with ledger.content() as content:
        names = {number: key[1] for number, key in content.keys().items()}
        found: dict[str, int] = {}
        for _, key, _, _, calls, _ in content.days(0, 10**6):
            found[names[key]] = found.get(names[key], 0) + calls
    return found


def stored_calls(address: str) -> int:
    """The number of calls in the ledger with this address; 0 if there is none yet."""
    ledger = Ledger(engines.connect(address, is_readonly=True))
    with contextlib.closing(ledger), contextlib.suppress(LedgerUnavailable):
        return sum(calls_by_caller(ledger).values())
    return 0
