"""Calls of the current API by tokens that have called the withdrawn one, which show who has moved."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from proxy.callers.ledger.database import Transaction
from proxy.callers.ledger.schema import to_microseconds, to_moment

_ADD = (
    "INSERT INTO current_calls (token, day, calls, first, last) VALUES (?, ?, ?, ?, ?) ON CONFLICT (token, day)"
    " DO UPDATE SET calls = current_calls.calls + excluded.calls,"
    " first = CASE WHEN excluded.first < current_calls.first THEN excluded.first ELSE current_calls.first END,"
    " last = CASE WHEN excluded.last > current_calls.last THEN excluded.last ELSE current_calls.last END"
)


class CurrentDay(NamedTuple):
    """The calls of the current API on one day by one token.

    Attributes:
        first, last: times of the first and the last one, to about a minute.
    """

    calls: int
    first: datetime
    last: datetime


def add_current_calls(transaction: Transaction, days: Mapping[tuple[str, int], CurrentDay]) -> None:
    """Add calls by token and day, as an ordinal."""
    rows = [
        (token, day, each.calls, to_microseconds(each.first), to_microseconds(each.last))
        for (token, day), each in sorted(days.items())
    ]
    transaction.execute_each(_ADD, rows)


def current_calls(transaction: Transaction) -> Iterator[tuple[str, CurrentDay]]:
    """The calls on each day, each with the fingerprint of its token, in order of time."""
    query = "SELECT token, calls, first, last FROM current_calls ORDER BY day, token"
    for token, calls, first, last in transaction.fetch(query):
        yield token, CurrentDay(calls, to_moment(first), to_moment(last))
