import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.callers.ledger import schema, sqlite
from proxy.callers.ledger.database import LedgerUnavailable
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.ledger.sqlite import SqliteFile, file_system
from tests.callers.lines import NOW, call
from tests.support.disks import read_only, small_disk
from tests.support.ledgers import calls_by_caller, fill
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


def test_a_second_connection_of_a_process_leaves_the_locks_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "callers.db"
    ledger = created(path)
    created(path)
    # The last process that closes the file removes its write-ahead log: this one must see that it is not the last.
    program = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT 1 FROM keys'); c.close()"
    subprocess.run([sys.executable, "-c", program, str(path)], check=True)

    assert Path(f"{path}-wal").exists()
    ledger.close()


def test_a_file_that_was_deleted_is_noticed_and_created_again(tmp_path: Path) -> None:
    path = tmp_path / "callers.db"
    ledger = created(path)
    for file in tmp_path.iterdir():
        file.unlink()
    with pytest.raises(LedgerUnavailable, match=r"callers\.db"):
        ledger.counted("f1")
    ledger.open()

    assert keys(path) == 0
    ledger.close()


def test_processes_that_make_one_ledger_at_the_same_time_wait_for_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "callers.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr(time, "sleep", lambda _: other.execute("ROLLBACK"))
        created(path).close()

    assert keys(path) == 0


def test_who_makes_a_ledger_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "callers.db"
    monkeypatch.setattr(sqlite, "_PATIENCE", 0.1)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnavailable, match="locked"):
            created(path)


def test_a_file_that_was_replaced_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "callers.db"
    ledger = created(path)
    created(tmp_path / "other.db").close()
    (tmp_path / "other.db").rename(path)
    with pytest.raises(LedgerUnavailable, match="it was deleted or replaced"):
        ledger.counted("f1")
    ledger.close()


MOUNTS = """\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
40 27 0:40 / /srv rw,relatime shared:1 - nfs4 server:/srv rw
41 40 0:41 / /srv/my\\040disk rw,relatime - xfs /dev/vdb rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/var/callers.db", "ext4"), ("/srv/callers.db", "nfs4"), ("/srv/my disk/callers.db", "xfs"), ("/srv2/x", "ext4")],
)
def test_the_file_system_of_a_file_is_known(tmp_path: Path, path: str, kind: str) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)

    assert file_system(Path(path), str(mounts)) == kind
    assert file_system(Path(path), str(tmp_path / "missing")) == ""


def test_a_network_file_system_is_refused_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "file_system", lambda _: "nfs4")
    with pytest.raises(LedgerUnavailable, match=r"nfs4 cannot share memory .* put the ledger on a local disk, or into"):
        created(tmp_path / "callers.db")


def test_a_full_disk_is_named_and_nothing_is_lost_once_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk"):
        path = tmp_path / "disk" / "callers.db"
        filler = path.with_name("filler")
        filler.write_bytes(bytes(60 << 10))
        ledger = Ledger(SqliteFile(path))
        with pytest.raises(LedgerUnavailable, match=r"callers\.db: (database or disk is full|disk I/O error)"):
            ledger.open()
        ledger.close()


def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    with read_only(tmp_path / "disk"), pytest.raises(LedgerUnavailable, match=r"callers\.db: "):
        created(tmp_path / "disk" / "callers.db")


def open_files() -> list[str]:
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the folder itself, which is closed again
            found.append(str(descriptor.readlink()))
    return found


def test_a_large_query_needs_no_folder_for_temporary_files(tmp_path: Path) -> None:
    created(path := tmp_path / "callers.db").close()
    query = (
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 50000)"
        " SELECT hex(randomblob(64)) AS text FROM n ORDER BY text"
    )
    with SqliteFile(path, is_readonly=True).transaction(writes=False) as transaction:
        found = iter(transaction.fetch(query))
        next(found)
        files = open_files()

    assert str(path) in files
    assert [file for file in files if "etilqs" in file] == []


def test_a_reader_sees_what_was_counted_while_nobody_had_the_file_open_for_writing(tmp_path: Path) -> None:
    path = tmp_path / "callers.db"
    fill(str(path), call(NOW, "first"))
    with contextlib.closing(Ledger(SqliteFile(path, is_readonly=True))) as reader:
        assert set(calls_by_caller(reader)) == {"first"}
        fill(str(path), call(NOW, "second"))
        assert set(calls_by_caller(reader)) == {"first", "second"}
