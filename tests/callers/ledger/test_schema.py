import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from proxy.callers.ledger import schema
from proxy.callers.ledger.database import Database, LedgerUnavailable
from proxy.callers.ledger.ledger import Ledger
from tests.callers.ledger.reading import opened
from tests.callers.lines import call
from tests.support.ledgers import Connect, calls_by_caller, fill

NEXT = (
    *schema.UPGRADES,
    ("ALTER TABLE calls ADD COLUMN slow INTEGER NOT NULL DEFAULT 0", "UPDATE calls SET slow = calls"),
)
"""A version to come, which is not empty."""


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


def let_there_be_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "UPGRADES", NEXT)
    monkeypatch.setattr(schema, "VERSION", len(NEXT))


def test_an_upgrade_keeps_what_the_ledger_holds(
    connect: Connect, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(address, call(), call(), call(caller="weekly"))
    let_there_be_another_version(monkeypatch)
    barrier = threading.Barrier(4)

    def start(database: Database) -> None:
        barrier.wait()
        schema.upgrade(database)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(start, [connect() for _ in range(4)]))
    fill(address, call())

    assert versions(connect()) == list(range(1, len(NEXT) + 1))
    assert calls_by_caller(opened(connect)) == {"nightly": 3, "weekly": 1}
    with connect().transaction(writes=False) as transaction:
        assert sorted(transaction.fetch("SELECT slow FROM calls")) == [(1,), (2,)]


def refusal(connect: Connect) -> str:
    with pytest.raises(LedgerUnavailable) as refused, Ledger(connect()).content():
        pass
    return str(refused.value)


def test_a_reader_says_which_version_must_come_first(
    connect: Connect, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(address, call())
    with monkeypatch.context() as later:
        let_there_be_another_version(later)
        assert refusal(connect) == "the ledger is of an earlier version: start the proxy once, which upgrades it"
        schema.upgrade(connect())

    said = f"the ledger has version {len(NEXT)}, this proxy knows {schema.VERSION}: use the later version of the proxy"
    assert refusal(connect) == said
    with pytest.raises(LedgerUnavailable, match=said):
        schema.upgrade(connect())


def test_a_database_without_tables_is_no_ledger(connect: Connect) -> None:
    with connect().transaction(writes=True) as transaction:
        transaction.execute("CREATE TABLE other (id INTEGER)")

    assert refusal(connect).endswith(": there is no ledger in it yet: a proxy makes it when it starts")
