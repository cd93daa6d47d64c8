import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from proxy.callers.ledger import postgresql, schema
from proxy.callers.ledger.database import Conflict, LedgerUnavailable
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.ledger.postgresql import PostgresqlServer
from tests.callers.ledger.reading import counted
from tests.callers.lines import NOW, beats, call
from tests.support.ledgers import calls_by_caller
from tests.support.postgresql import Postgresql, initialized
from tests.support.waiting import until

MINE = " FROM pg_stat_activity WHERE application_name = 'trigger-shim' AND datname = current_database()"


@pytest.fixture
def address(server: Postgresql) -> str:
    return server.new_database()


@contextlib.contextmanager
def connected(address: str) -> Iterator["psycopg.Connection[Any]"]:
    with psycopg.connect(address, autocommit=True) as connection:
        yield connection


@pytest.fixture
def ledger(address: str) -> Iterator[Ledger]:
    with contextlib.closing(Ledger(PostgresqlServer(address))) as made:
        made.open()
        yield made


def test_nothing_is_left_of_a_transaction_but_its_result(address: str) -> None:
    database = PostgresqlServer(address)
    with database.transaction(writes=True) as transaction:
        [(inside,)] = transaction.fetch("SHOW statement_timeout")
        [(idle,)] = transaction.fetch("SHOW idle_in_transaction_session_timeout")
    connection = database._connected()
    after = connection.execute("SHOW statement_timeout").fetchone()
    prepared = connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()

    assert (inside, idle, after, prepared) == ("15s", "30s", ("0",), (0,))
    assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    database.close()


def test_two_that_lock_each_other_out_are_told_to_repeat_it(address: str) -> None:
    one, other = PostgresqlServer(address), PostgresqlServer(address)
    with one.transaction(writes=True) as transaction:
        transaction.execute("CREATE TABLE numbers (id INTEGER PRIMARY KEY, value INTEGER)")
        transaction.execute("INSERT INTO numbers VALUES (1, 0), (2, 0)")
    have_one = threading.Barrier(2)
    outcomes: list[str] = []

    def lock(database: PostgresqlServer, first: int, second: int) -> None:
        try:
            with database.transaction(writes=True) as transaction:
                transaction.execute("UPDATE numbers SET value = 1 WHERE id = ?", [first])
                have_one.wait(60)
                transaction.execute("UPDATE numbers SET value = 1 WHERE id = ?", [second])
            outcomes.append("done")
        except Conflict:
            outcomes.append("conflict")

    threads = [threading.Thread(target=lock, args=args) for args in ((one, 1, 2), (other, 2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["conflict", "done"]
    one.close()
    other.close()


def test_the_ledger_repeats_what_met_another_transaction(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = iter([Conflict("deadlock detected")] * 3)
    execute = psycopg.Connection.execute

    def conflicting(connection: Any, query: Any, *args: Any, **options: Any) -> Any:
        if query.startswith("SELECT first") and (failure := next(failures, None)) is not None:
            raise psycopg.errors.DeadlockDetected(str(failure))
        return execute(connection, query, *args, **options)

    monkeypatch.setattr(psycopg.Connection, "execute", conflicting)
    ledger.add(counted(*beats(NOW)))
    ledger.add(counted(call(NOW)))

    assert calls_by_caller(ledger) == {"nightly": 1}


def test_a_connection_that_was_ended_is_made_again(address: str, ledger: Ledger) -> None:
    with connected(address) as connection:
        connection.execute("SELECT pg_terminate_backend(pid)" + MINE)
    with pytest.raises(LedgerUnavailable, match=r"^PostgreSQL: [^\n]+$"):
        ledger.add(counted(call(NOW)))
    ledger.add(counted(call(NOW)))

    assert calls_by_caller(ledger) == {"nightly": 1}


def test_a_connection_rests_outside_of_transactions(address: str, ledger: Ledger) -> None:
    ledger.add(counted(call(NOW)))
    with connected(address) as connection:
        query = "SELECT state" + MINE
        until(lambda: connection.execute(query).fetchall() == [("idle",)])


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("postgresql://lead:secret@127.0.0.1:1/none", "Connection refused"),
        ("postgresql://lead:secret@localhost:1/none", "Connection refused"),
        ("postgresql://lead:secret@127.0.0.1:1,127.0.0.1:1/none", "Connection refused"),
        ("postgresql://lead:secret@no-such-host.invalid/none", "failed to resolve"),
    ],
)
def test_what_is_wrong_is_one_line_without_the_password(address: str, said: str) -> None:
    with pytest.raises(LedgerUnavailable) as raised:
        PostgresqlServer(address).transaction(writes=True).__enter__()

    text = str(raised.value)
    assert text.startswith("PostgreSQL: ")
    assert said in text
    assert "secret" not in text
    assert "\n" not in text


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
    with initialized() as server:
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


def test_the_encoding_of_the_database_does_not_matter(server: Postgresql, address: str) -> None:
    # Debian makes such ones where no locale is set.
    with connected(address) as connection:
        connection.execute("CREATE DATABASE ascii ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    with contextlib.closing(Ledger(PostgresqlServer(server.address("ascii")))) as ledger:
        ledger.open()
        assert ledger.fingerprint_key(b"key") == b"key"
        ledger.add(counted(call(caller="nächtlich")))
        assert calls_by_caller(ledger) == {"nächtlich": 1}
