"""Chooses the database engine by the address of the ledger."""

from pathlib import Path

from proxy.callers.ledger.database import Database, LedgerUnavailable


def connect(address: str, *, is_readonly: bool = False) -> Database:
    """A ledger's database. It is connected when it is first used.

    Args:
        address: a path, or ``postgresql://…``.
        is_readonly: whether nothing may be written.

    Raises:
        LedgerUnavailable: the library for it is not installed.
    """
    if "://" not in address:
        from proxy.callers.ledger.sqlite import SqliteFile  # noqa: PLC0415 - 10 ms, and few commands need it

        return SqliteFile(Path(address), is_readonly=is_readonly)
    try:
        from proxy.callers.ledger.postgresql import PostgresqlServer  # noqa: PLC0415 - not always installed
    except ImportError:
        raise LedgerUnavailable(
            "the library for PostgreSQL is missing: pip install 'trigger-shim[postgresql]'"
        ) from None
    return PostgresqlServer(address, is_readonly=is_readonly)
