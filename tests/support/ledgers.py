"""Ledgers in every engine, and fixtures for a conftest.py to import."""

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxy.callers.ledger import engines
from proxy.callers.ledger.counts import Counts, Strangers
from proxy.callers.ledger.database import Database, LedgerUnavailable
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.ledger.tables.files import Progress
from proxy.callers.log.envelope import decode
from proxy.callers.record import Record
from tests.callers.lines import line
from tests.support.postgresql import Postgresql, postgresql

Connect = Callable[[], Database]
"""Makes another connection to the same ledger."""


@pytest.fixture(scope="session")
def server() -> Iterator[Postgresql]:
    with postgresql() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a new ledger."""
    if request.param == "sqlite":
        return str(tmp_path / "callers.db")
    new: str = request.getfixturevalue("server").new_schema()
    return new


@pytest.fixture
def connect(address: str) -> Iterator[Connect]:
    with connections(address) as made:
        yield made


@contextlib.contextmanager
def connections(place: Path | str) -> Iterator[Connect]:
    """Connect to a ledger, in a file or at an address, until the end of the block."""
    made: list[Database] = []

    def another() -> Database:
        made.append(engines.connect(str(place)))
        return made[-1]

    yield another
    for database in made:
        database.close()


def fill(address: str, *records: Record, file: str | None = None) -> None:
    """Count records into a ledger, as the next ones of a file if it has a name."""
    lines, counts = [line(record) for record in records], Counts(Strangers())
    counts.add([decode(text) for text in lines], lines, datetime.max.replace(tzinfo=UTC))
    with contextlib.closing(Ledger(engines.connect(address))) as ledger:
        ledger.open()
        before = ledger.counted(file) if file is not None else None
        begin = before.position if before is not None else 0
        ledger.add(
            counts, progress=Progress(file, file, begin, begin + 1, datetime.now(UTC)) if file is not None else None
        )


def calls_by_caller(ledger: Ledger) -> dict[str, int]:
    """The number of calls in a ledger, by the name of their caller."""
    with ledger.content() as content:
        names = {number: key[1] for number, key in content.keys().items()}
        found: dict[str, int] = {}
        for _, key, _, _, calls, _ in content.days(0, 10**6):
            found[names[key]] = found.get(names[key], 0) + calls
    return found


def is_created(address: str) -> bool:
    """Whether a proxy has created the ledger with this address."""
    with contextlib.closing(Ledger(engines.connect(address, is_readonly=True))) as ledger:
        with contextlib.suppress(LedgerUnavailable), ledger.content():
            return True
        return False


def stored_calls(address: str) -> int:
    """The number of calls in the ledger with this address; 0 if there is none yet."""
    ledger = Ledger(engines.connect(address, is_readonly=True))
    with contextlib.closing(ledger), contextlib.suppress(LedgerUnavailable):
        return sum(calls_by_caller(ledger).values())
    return 0
