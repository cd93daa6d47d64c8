import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from proxy.callers.ledger import schema
from proxy.callers.ledger.database import Database, LedgerUnavailable
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.ledger.schema import Upgrade
from tests.callers.ledger.reading import opened
from tests.callers.lines import call
from tests.support.ledgers import Connect, calls_by_caller, fill

ADDITIVE = Upgrade(1, ("ALTER TABLE calls ADD COLUMN slow INTEGER NOT NULL DEFAULT 0", "UPDATE calls SET slow = calls"))
"""A version to come that proxies of today can use."""

BREAKING = Upgrade(schema.VERSION + 1, ("ALTER TABLE keys RENAME TO key_columns",))
"""One that they cannot use."""


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
    let_there_be(monkeypatch, Upgrade(1, ("CREATE TABLE later (id INTEGER)",) * 2))
    with pytest.raises(LedgerUnavailable, match="later"):
        schema.upgrade(database)

    assert versions(database) == list(range(1, schema.VERSION))
    with pytest.raises(LedgerUnavailable), database.transaction(writes=False) as transaction:
        transaction.fetch("SELECT id FROM later")


def let_there_be(monkeypatch: pytest.MonkeyPatch, *later: Upgrade) -> None:
    upgrades = (*schema.UPGRADES, *later)
    monkeypatch.setattr(schema, "UPGRADES", upgrades)
    monkeypatch.setattr(schema, "VERSION", len(upgrades))


def test_an_upgrade_keeps_what_the_ledger_holds(
    connect: Connect, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(address, call(), call(), call(caller="weekly"))
    let_there_be(monkeypatch, ADDITIVE)
    barrier = threading.Barrier(4)

    def start(database: Database) -> None:
        barrier.wait()
        schema.upgrade(database)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(start, [connect() for _ in range(4)]))
    fill(address, call())

    assert versions(connect()) == list(range(1, schema.VERSION + 1))
    assert calls_by_caller(opened(connect)) == {"nightly": 3, "weekly": 1}
    with connect().transaction(writes=False) as transaction:
        assert sorted(transaction.fetch("SELECT slow FROM calls")) == [(1,), (2,)]


def refusal(connect: Connect) -> str:
    with pytest.raises(LedgerUnavailable) as refused, Ledger(connect()).content():
        pass
    return str(refused.value)


def test_a_ledger_of_the_first_version_becomes_one_of_today(connect: Connect, address: str) -> None:
    first = schema.UPGRADES[0]
    with connect().transaction(writes=True) as transaction:
        transaction.execute("CREATE TABLE versions (version INTEGER PRIMARY KEY)")
        for statement in first.statements:
            transaction.execute(statement)
        transaction.execute("INSERT INTO versions (version) VALUES (1)")
    assert refusal(connect) == "the ledger is of an earlier version: start the proxy once, which upgrades it"
    fill(address, call())

    assert versions(connect()) == list(range(1, schema.VERSION + 1))
    assert calls_by_caller(opened(connect)) == {"nightly": 1}


def test_a_proxy_can_be_rolled_back_while_others_use_a_later_compatible_version(
    connect: Connect, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(address, call())
    with monkeypatch.context() as later:
        let_there_be(later, ADDITIVE)
        fill(address, call())
    fill(address, call())

    assert calls_by_caller(opened(connect)) == {"nightly": 3}
    assert versions(connect()) == list(range(1, schema.VERSION + 2))
    with monkeypatch.context() as later:
        let_there_be(later, ADDITIVE)
        assert calls_by_caller(opened(connect)) == {"nightly": 3}


@pytest.mark.parametrize("upgrades", [[BREAKING], [BREAKING, ADDITIVE]], ids=["the last one", "one before the last"])
def test_a_later_version_that_is_not_compatible_is_refused(
    connect: Connect, address: str, monkeypatch: pytest.MonkeyPatch, upgrades: list[Upgrade]
) -> None:
    fill(address, call())
    with monkeypatch.context() as later:
        let_there_be(later, *upgrades)
        schema.upgrade(connect())

    said = (
        f"the ledger has version {schema.VERSION + len(upgrades)}, for proxies that know version {schema.VERSION + 1}"
        f" or later, and this one knows {schema.VERSION}: use the later version of the proxy"
    )
    assert refusal(connect) == said
    with pytest.raises(LedgerUnavailable, match=said):
        schema.upgrade(connect())


def test_a_database_without_tables_is_no_ledger(connect: Connect) -> None:
    with connect().transaction(writes=True) as transaction:
        transaction.execute("CREATE TABLE other (id INTEGER)")

    assert refusal(connect).endswith(": there is no ledger in it yet: a proxy makes it when it starts")
