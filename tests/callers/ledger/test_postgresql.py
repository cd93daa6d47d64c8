import os

import pytest

from proxy.callers.ledger import postgresql, schema
from proxy.callers.ledger.database import LedgerUnavailable
from proxy.callers.ledger.postgresql import PostgresqlServer
from tests.support.postgresql import Postgresql, stopped_postgresql


def test_a_server_that_does_not_notify_can_be_used(server: Postgresql, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "_CHANNEL", "1 no name")  # so the whole command is one that it does not know
    address, wake = server.new_database(), os.open("/dev/null", os.O_RDONLY)
    database, watching = PostgresqlServer(address), PostgresqlServer(address)
    try:
        schema.upgrade(database)
        for _ in range(2):
            watching.wait(wake, 0.01)
        with database.transaction(writes=True) as transaction:
            transaction.execute("INSERT INTO holders (id, beat) VALUES ('one', 1)")
            database.notify(transaction)
        with watching.transaction(writes=False) as transaction:
            assert list(transaction.fetch("SELECT id FROM holders")) == [("one",)]
    finally:
        database.close()
        watching.close()
        os.close(wake)


def test_who_waits_notices_that_the_server_stops_and_listens_again() -> None:
    with stopped_postgresql() as server:
        database, wake = PostgresqlServer(server.address()), os.pipe()
        with server.started():
            database.wait(wake[0], 60)
        with pytest.raises(LedgerUnavailable, match="PostgreSQL: "):
            database.wait(wake[0], 60)
        with server.started():
            database.wait(wake[0], 60)  # it has connected, so whoever waits reads
            other = PostgresqlServer(server.address())
            with other.transaction(writes=True) as transaction:
                other.notify(transaction)
            database.wait(wake[0], 60)
            other.close()
            database.close()
        for end in wake:
            os.close(end)
