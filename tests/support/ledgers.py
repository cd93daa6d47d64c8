"""Ledgers in every engine, and fixtures for a conftest.py to import."""

import contextlib
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
    is_file = request.param == "sqlite"
    with connections(tmp_path / "callers.db" if is_file else request.getfixturevalue("server").new_database()) as made:
        yield made


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
