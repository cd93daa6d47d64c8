"""The ledger of a fleet: PostgreSQL, or what speaks its protocol."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import psycopg

from proxy.callers.ledger.database import (
    NO_TABLES,
    Conflict,
    LedgerUnavailable,
    NotAllowed,
    Row,
    TablesMissing,
    Transaction,
    wait_readable,
)

_SETTINGS: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "application_name": "trigger-shim",
    "client_encoding": "UTF8",  # a database without an encoding would answer with bytes
    "prepare_threshold": None,  # poolers that share connections between transactions know no prepared statements
}
"""A server that is gone is noticed within seconds: without these it takes minutes."""

_LIMITS = (
    "SELECT set_config('statement_timeout', '15s', true),"
    # Or the locks of a host that is gone would block the others until the server notices, by default after two hours.
    " set_config('idle_in_transaction_session_timeout', '30s', true)"
)
"""They hold in one transaction only, so that a pooler may give the connection to anybody afterwards."""

_AT_ONCE = 10_000
"""Rows that are read at once of a query with very many."""

_SCHEMA_LOCK = 0x7472_6967_6765_7201
"""Any number that other users of the database are unlikely to lock."""


_CHANNEL = "trigger_shim"

_NOT_SUPPORTED = (psycopg.ProgrammingError, psycopg.NotSupportedError)
"""What servers that speak the protocol say of LISTEN and NOTIFY if they have neither."""

_CONFLICTS = (
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    psycopg.errors.ForeignKeyViolation,  # a key was forgotten at the moment when it was used again
)


class PostgresqlServer:
    """A ledger in a PostgreSQL database.

    Args:
        address: ``postgresql://user:password@host:port/database``, with the options of libpq.
        is_readonly: whether nothing may be written.
    """

    clock = "CAST(EXTRACT(EPOCH FROM CURRENT_TIMESTAMP) * 1000000 AS BIGINT)"

    def __init__(self, address: str, *, is_readonly: bool = False) -> None:
        self._address = address
        self._is_readonly = is_readonly
        self._connection: psycopg.Connection[Row] | None = None
        self._listens = False

    @contextlib.contextmanager
    def transaction(self, *, writes: bool) -> Iterator[Transaction]:
        """See `Database`."""
        try:
            connection = self._connected()
            with connection.transaction():
                transaction = _Transaction(connection)
                if not writes:
                    # Several queries of one report see the same moment.
                    transaction.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                transaction.execute(_LIMITS)
                yield transaction
        except _CONFLICTS as error:
            self.close()  # many rows are sent at once, and what was sent after the conflict is still to be answered
            raise Conflict(_reason(error)) from error
        except psycopg.errors.UndefinedTable as error:
            self.close()
            raise TablesMissing(f"PostgreSQL: {NO_TABLES}") from error
        except psycopg.errors.InsufficientPrivilege as error:
            self.close()
            raise NotAllowed(_reason(error)) from error
        except psycopg.Error as error:
            self.close()
            raise LedgerUnavailable(_reason(error)) from error

    def lock_schema(self, transaction: Transaction) -> None:
        """See `Database`. Processes that start together would otherwise create the same table twice."""
        transaction.execute("SELECT pg_advisory_xact_lock(?)", [_SCHEMA_LOCK])

    def notify(self, transaction: Transaction) -> None:
        """See `Database`."""
        with contextlib.suppress(*_NOT_SUPPORTED), self._connected().transaction():  # a savepoint
            transaction.execute(f"NOTIFY {_CHANNEL}")

    def wait(self, wake: int, seconds: float) -> None:
        """See `Database`."""
        try:
            connection = self._connected()
            if not self._listens:
                with contextlib.suppress(*_NOT_SUPPORTED):
                    connection.execute(f"LISTEN {_CHANNEL}")
                self._listens = True
            elif not list(connection.notifies(timeout=0)) and wait_readable([connection.fileno(), wake], seconds):
                list(connection.notifies(timeout=0))  # raises if it was not a notification, but the end
        except psycopg.Error as error:
            self.close()
            raise LedgerUnavailable(_reason(error)) from error

    def close(self) -> None:
        """Close the connection."""
        self._listens = False
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> "psycopg.Connection[Row]":
        if self._connection is None:
            self._connection = psycopg.connect(self._address, autocommit=True, **_SETTINGS)
        return self._connection


class _Transaction:
    def __init__(self, connection: "psycopg.Connection[Row]") -> None:
        self._connection = connection

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        return self._connection.execute(_translated(statement), parameters or None).rowcount

    def execute_each(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        self._connection.cursor().executemany(_translated(statement), rows)

    def fetch(self, statement: str, parameters: Sequence[Any] = ()) -> Iterable[Row]:
        return self._connection.execute(_translated(statement), parameters or None)

    def stream(self, statement: str, parameters: Sequence[Any] = ()) -> Iterable[Row]:
        with self._connection.cursor("stream", binary=True) as cursor:
            cursor.itersize = _AT_ONCE
            cursor.execute(_translated(statement), parameters or None)
            yield from cursor


def _translated(statement: str) -> str:
    return statement.replace("?", "%s")  # the ledger's own statements, without other marks


def _reason(error: psycopg.Error) -> str:
    """What a server says, on one line. It never has the address, which has a password."""
    text = str(error).strip().partition("\n")[0]
    return f"PostgreSQL: {text or type(error).__name__}"
