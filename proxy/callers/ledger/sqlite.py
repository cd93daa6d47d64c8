"""The ledger in a file: SQLite, shared by the processes of one host."""

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from proxy.callers.ledger.database import LedgerUnavailable, Row, Transaction, wait_readable
from proxy.output.sink import make_folder

_MODE = 0o640

_PATIENCE = 10.0
"""Seconds to wait for another process that writes."""

_LOOK = 0.02
"""Seconds between two looks for a change: a look takes some microseconds."""


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
        self._seen: int | None = None

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
        except sqlite3.Error as error:
            self.close()
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
            connection = sqlite3.connect(
                f"{self._path.resolve().as_uri()}?{self._mode()}",
                uri=True,
                timeout=_PATIENCE,
                isolation_level=None,
                check_same_thread=False,
            )
            if not self._is_readonly:
                self._configure(connection)
            self._connection = connection
        return self._connection

    def _create(self) -> None:
        """Create the file with the permissions of the log."""
        try:
            make_folder(self._path.parent)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE))
        except OSError as error:
            raise LedgerUnavailable(f"{error.filename or self._path}: {error.strerror}") from None

    def _mode(self) -> str:
        if not self._is_readonly:
            return "mode=rw"
        # Whoever may not write cannot create the files of the write-ahead log, which are there while anybody writes.
        return "mode=ro" if Path(f"{self._path}-wal").exists() else "mode=ro&immutable=1"

    def _configure(self, connection: sqlite3.Connection) -> None:
        [[mode]] = connection.execute("PRAGMA journal_mode = WAL")
        if mode != "wal":
            connection.close()
            raise LedgerUnavailable(
                f"{self._path}: this file system cannot share memory between processes, as SQLite must:"
                " put the ledger on a local disk, or into PostgreSQL"
            )
        # After a power failure the last transactions may be missing. They are counted again, from the log.
        connection.execute("PRAGMA synchronous = NORMAL")


class _Transaction:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        return self._connection.execute(statement, parameters).rowcount

    def execute_each(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        self._connection.executemany(statement, rows)

    def fetch(self, statement: str, parameters: Sequence[Any] = ()) -> Iterable[Row]:
        return self._connection.execute(statement, parameters)
