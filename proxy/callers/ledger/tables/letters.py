"""Which owners had letters, and when."""

from collections.abc import Iterable
from datetime import datetime

from proxy.callers.ledger.database import Transaction
from proxy.callers.ledger.schema import to_microseconds, to_moment

_ADD = "INSERT INTO letters (owner, written) VALUES (?, ?) ON CONFLICT DO NOTHING"


def last_letters(transaction: Transaction) -> dict[str, datetime]:
    """When each owner had the last letter."""
    query = "SELECT owner, MAX(written) FROM letters GROUP BY owner"
    return {owner: to_moment(written) for owner, written in transaction.fetch(query)}


def add_letters(transaction: Transaction, owners: Iterable[str], written: datetime) -> None:
    """Remember letters that were written at the same time."""
    transaction.execute_each(_ADD, ((owner, to_microseconds(written)) for owner in owners))


def check_letters(transaction: Transaction) -> None:
    """Check that letters can be remembered: an insert without rows needs the same rights."""
    transaction.execute("INSERT INTO letters (owner, written) SELECT owner, written FROM letters WHERE 1 = 0")
