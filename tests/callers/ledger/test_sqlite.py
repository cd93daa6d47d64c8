import os
from pathlib import Path

import pytest

from proxy.callers.ledger import schema
from proxy.callers.ledger.database import LedgerUnavailable
from proxy.callers.ledger.sqlite import SqliteFile


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
