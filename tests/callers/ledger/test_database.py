import os
import threading
from collections.abc import Iterator

import pytest

from proxy.callers.ledger import schema
from proxy.callers.ledger.database import Database
from tests.support.ledgers import Connect
from tests.support.waiting import PATIENCE


@pytest.fixture
def wake() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def change(database: Database) -> None:
    with database.transaction(writes=True) as transaction:
        transaction.execute("INSERT INTO holders (id, beat) VALUES ('one', 1)")
        database.notify(transaction)


class Waiting(threading.Thread):
    """A connection that waits in a thread."""

    def __init__(self, database: Database, wake: int) -> None:
        super().__init__(daemon=True)
        self._database, self._wake = database, wake
        database.wait(wake, PATIENCE)  # the first time, it has just connected
        self.start()

    def run(self) -> None:
        self._database.wait(self._wake, 2 * PATIENCE)

    def returns(self) -> bool:
        self.join(PATIENCE)
        return not self.is_alive()


def test_a_wait_ends_with_a_change_by_another_connection(connect: Connect, wake: tuple[int, int]) -> None:
    database = connect()
    schema.upgrade(database)
    waiting = Waiting(connect(), wake[0])
    change(database)
    assert waiting.returns()


def test_a_change_between_two_waits_ends_the_second_at_once(connect: Connect, wake: tuple[int, int]) -> None:
    database, watching = connect(), connect()
    schema.upgrade(database)
    watching.wait(wake[0], PATIENCE)
    with watching.transaction(writes=False) as transaction:
        list(transaction.fetch("SELECT id FROM holders"))
    change(database)
    watching.wait(wake[0], 2 * PATIENCE)
    with watching.transaction(writes=False) as transaction:
        assert list(transaction.fetch("SELECT id FROM holders")) == [("one",)]


def test_a_wait_ends_when_it_is_woken(connect: Connect, wake: tuple[int, int]) -> None:
    waiting = Waiting(connect(), wake[0])
    os.write(wake[1], b"x")
    assert waiting.returns()


def test_a_wait_ends_after_its_time(connect: Connect, wake: tuple[int, int]) -> None:
    database = connect()
    for _ in range(2):
        database.wait(wake[0], 0.01)


def test_all_connections_have_the_same_clock(connect: Connect) -> None:
    times = []
    for database in (connect(), connect(), connect()):
        with database.transaction(writes=False) as transaction:
            times += [time for (time,) in transaction.fetch(f"SELECT {database.clock}")]
    assert times == sorted(times)
    assert 1.6e15 < times[0] < 4e15
