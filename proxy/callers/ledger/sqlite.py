"""The ledger in a file: SQLite, shared by the processes of one host."""

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from proxy.callers.ledger.database import NO_TABLES, LedgerUnavailable, Row, TablesMissing, Transaction, wait_readable
from proxy.callers.log.files import may_exist
from proxy.output.sink import make_folder

_MODE = 0o640

_PATIENCE = 10.0
"""Seconds to wait for another process that writes."""

_LOOK = 0.05
"""Seconds between two looks for a change: a look takes a tenth of a millisecond."""

_NETWORK = frozenset({"9p", "afs", "ceph", "cifs", "gfs2", "lustre", "nfs", "nfs4", "ocfs2", "smb3", "smbfs"})
_NETWORK_FUSE = frozenset({"fuse.ceph", "fuse.gcsfuse", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs"})
"""File systems that several hosts may have mounted: there, the write-ahead log would damage the ledger."""


class SqliteFile:
    """A ledger in a file with a write-ahead log, so that reports are read while calls are counted.

    Args:
        path: of the file; it is created if need be, unless `is_readonly`.
        is_readonly: whether nothing may be written.
    """

    # Milliseconds are all that it knows. It takes one time for a whole statement.
    clock = "CAST(ROUND((julianday('now') - 2440587.5) * 86400000) * 1000 AS INTEGER)"

    def __init__(self, path: Path, *, is_readonly: bool = False) -> None:
        self._path = path
        self._is_readonly = is_readonly
        self._connection: sqlite3.Connection | None = None
        self._is_frozen = False
        self._seen: int | None = None
        self._identity = (0, 0)

    @contextlib.contextmanager
    def transaction(self, *, writes: bool) -> Iterator[Transaction]:
        """See `Database`."""
        try:
            connection = self._connected()
            # A deferred transaction that begins to write later fails at once if another one writes, without waiting.
            connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            try:
                yield _Transaction(connection)
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise
            if self._is_frozen:
                self.close()
        except sqlite3.Error as error:
            self.close()
            if str(error).startswith("no such table"):
                raise TablesMissing(f"{self._path}: {NO_TABLES}") from error
            raise LedgerUnavailable(f"{self._path}: {error}") from error

    def lock_schema(self, transaction: Transaction) -> None:
        """Nothing to do: only one transaction writes at a time."""

    def notify(self, transaction: Transaction) -> None:
        """Nothing to do: `wait` sees every change."""

    def wait(self, wake: int, seconds: float) -> None:
        """See `Database`."""
        until = time.monotonic() + seconds
        try:
            while True:
                [[version]] = self._connected().execute("PRAGMA data_version")
                if version != self._seen:
                    self._seen = version
                    return
                if time.monotonic() >= until or wait_readable([wake], _LOOK):
                    return
        except sqlite3.Error as error:
            self.close()
            raise LedgerUnavailable(f"{self._path}: {error}") from error

    def close(self) -> None:
        """Close the connection."""
        self._seen = None  # each connection counts changes on its own
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            if not self._is_readonly:
                self._create()
            mode = self._mode()
            # Such a connection never sees a change, so it is good for one transaction.
            self._is_frozen = "immutable" in mode
            self._identity = self._current()
            connection = sqlite3.connect(
                f"{self._path.resolve().as_uri()}?{mode}",
                uri=True,
                timeout=_PATIENCE,
                isolation_level=None,
                check_same_thread=False,
            )
            self._connection = connection
            # In a container there may be no folder for temporary files, and then large queries would fail.
            connection.execute("PRAGMA temp_store = MEMORY")
            if not self._is_readonly:
                self._configure(connection)
        elif self._current() != self._identity:
            self.close()
            raise LedgerUnavailable(f"{self._path}: it was deleted or replaced")
        return self._connection

    def _current(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except OSError as error:
            self.close()
            raise LedgerUnavailable(f"{self._path}: {error.strerror}") from None
        return found.st_dev, found.st_ino

    def _create(self) -> None:
        """Create the file with the permissions of the log."""
        try:
            make_folder(self._path.parent)
            # A file that exists is not opened: closing it would release the locks of all connections of this process.
            with contextlib.suppress(FileExistsError):
                os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE))
        except OSError as error:
            raise LedgerUnavailable(f"{error.filename or self._path}: {error.strerror}") from None
        if not os.access(self._path, os.W_OK, effective_ids=True):
            raise LedgerUnavailable(f"{self._path}: it cannot be written")
        kind = file_system(self._path)
        if kind in _NETWORK | _NETWORK_FUSE:
            raise _unshareable(self._path, kind)

    def _mode(self) -> str:
        if not self._is_readonly:
            return "mode=rw"
        # Whoever may not write cannot create the files of the write-ahead log, which are there while anybody writes.
        return "mode=ro" if may_exist(f"{self._path}-wal") else "mode=ro&immutable=1"

    def _configure(self, connection: sqlite3.Connection) -> None:
        mode = self._journal(connection)
        if mode != "wal":
            self.close()
            raise _unshareable(self._path, "this file system")
        # After a power failure the last transactions may be missing. They are counted again, from the log.
        connection.execute("PRAGMA synchronous = NORMAL")

    def _journal(self, connection: sqlite3.Connection) -> Any:
        """Have a write-ahead log, and return the kind of log that there is."""
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                [[mode]] = connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                # SQLite does not wait here: two processes that make one ledger would wait for each other for ever.
                if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() >= until:
                    raise
                time.sleep(_LOOK)
            else:
                return mode


class _Transaction:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        return self._connection.execute(statement, parameters).rowcount

    def execute_each(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        self._connection.executemany(statement, rows)

    def fetch(self, statement: str, parameters: Sequence[Any] = ()) -> Iterable[Row]:
        return self._connection.execute(statement, parameters)

    def stream(self, statement: str, parameters: Sequence[Any] = ()) -> Iterable[Row]:
        return self.fetch(statement, parameters)


def file_system(path: Path, mounts: str = "/proc/self/mountinfo") -> str:
    """The kind of the file system that a file is on, as in ``mount --types``; empty if it is not known.

    Args:
        path: of the file.
        mounts: the list of mounts, see proc_pid_mountinfo(5).
    """
    target, kind, longest = path.resolve(), "", -1
    with contextlib.suppress(OSError):
        for line in Path(mounts).read_text(encoding="utf-8", errors="replace").splitlines():
            mount, _, rest = line.partition(" - ")
            point = Path(mount.split()[4].replace(r"\040", " "))
            if target.is_relative_to(point) and len(point.parts) >= longest:
                kind, longest = rest.split()[0], len(point.parts)
    return kind


def _unshareable(path: Path, kind: str) -> LedgerUnavailable:
    return LedgerUnavailable(
        f"{path}: {kind} cannot share memory between processes, as SQLite must:"
        " put the ledger on a local disk, or into PostgreSQL"
    )
