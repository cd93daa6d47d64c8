import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.callers.ledger import schema
from proxy.callers.ledger.database import LedgerUnavailable
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.ledger.sqlite import SqliteFile
from tests.support.programs import lack


def created(path: Path) -> Ledger:
    ledger = Ledger(SqliteFile(path))
    ledger.open()
    return ledger


def keys(path: Path) -> int:
    reader = Ledger(SqliteFile(path, is_readonly=True))
    try:
        with reader.content() as content:
            return len(content.keys())
    finally:
        reader.close()


def test_only_its_group_may_read_it_and_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "var" / "callers.db"
    created(path).close()

    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o750


def test_a_reader_creates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "callers.db"
    with pytest.raises(LedgerUnavailable, match=r"callers\.db"):
        keys(path)

    assert list(tmp_path.iterdir()) == []


@contextlib.contextmanager
def another_account() -> Iterator[None]:
    """Another account than the proxy's, as which the block runs."""
    if os.geteuid() != 0:
        lack("only root can become another account", "sudo make test")
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("is_open", [True, False])
def test_whoever_may_only_read_can_read_it_while_the_proxy_runs_and_after(is_open: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "callers.db"
        ledger = created(path)
        if not is_open:
            ledger.close()
        Path(folder).chmod(0o755)
        for file in Path(folder).iterdir():
            file.chmod(0o644)

        with another_account():
            assert keys(path) == 0
            with pytest.raises(LedgerUnavailable):
                created(path)
        ledger.close()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerUnavailable, match="file"):
        created(tmp_path / "file" / "callers.db")


def test_who_waits_notices_that_the_file_cannot_be_read_and_looks_again(tmp_path: Path) -> None:
    path, wake = tmp_path / "callers.db", os.open(os.devnull, os.O_RDONLY)
    database = SqliteFile(path)
    path.mkdir()
    with pytest.raises(LedgerUnavailable, match=r"callers\.db: unable to open"):
        database.wait(wake, 60)
    path.rmdir()
    database.wait(wake, 60)  # it has connected, so whoever waits reads
    other = SqliteFile(path)
    schema.upgrade(other)
    database.wait(wake, 60)
    with database.transaction(writes=False) as transaction:
        assert list(transaction.fetch("SELECT id FROM tries")) == []
    for made in (database, other):
        made.close()
    os.close(wake)
