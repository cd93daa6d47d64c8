import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from proxy.callers.ledger import schema
from proxy.callers.ledger.database import Database, LedgerUnavailable
from tests.support.ledgers import Connect


def versions(database: Database) -> list[int]:
    with database.transaction(writes=False) as transaction:
        return [version for (version,) in transaction.fetch("SELECT version FROM versions ORDER BY version")]


def test_ten_that_start_at_once_create_the_tables_once(connect: Connect) -> None:
    barrier = threading.Barrier(10)

    def start(database: Database) -> None:
        barrier.wait()
        schema.upgrade(database)

    with ThreadPoolExecutor(10) as threads:
        list(threads.map(start, [connect() for _ in range(10)]))
    assert versions(connect()) == list(range(1, schema.VERSION + 1))


def test_an_upgrade_that_fails_changes_nothing(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    database = connect()
    schema.upgrade(database)
    broken = (*schema.UPGRADES, ("CREATE TABLE later (id INTEGER)", "CREATE TABLE later (id INTEGER)"))
    monkeypatch.setattr(schema, "UPGRADES", broken)
    with pytest.raises(LedgerUnavailable, match="later"):
        schema.upgrade(database)

    assert versions(database) == list(range(1, schema.VERSION + 1))
    with pytest.raises(LedgerUnavailable), database.transaction(writes=False) as transaction:
        transaction.fetch("SELECT id FROM later")
