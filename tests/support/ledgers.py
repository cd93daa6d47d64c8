"""Ledgers in every engine: fixtures for a conftest.py to import."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proxy.callers.ledger.database import Database
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
