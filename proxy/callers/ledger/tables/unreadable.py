"""What may be calls and cannot be read."""

from collections.abc import Mapping

import msgspec

from proxy.callers.ledger.database import Transaction
from proxy.callers.ledger.schema import to_microseconds, to_moment
from proxy.callers.log.unreadable import Unreadable, UnreadableDay

UNDATED = 0
"""The day of what cannot be dated."""

_encode = msgspec.json.Encoder().encode


def unreadable(transaction: Transaction) -> Unreadable:
    """What may be calls and cannot be read."""
    found = Unreadable()
    for day, count, last, places in transaction.fetch("SELECT day, count, last, places FROM unreadable"):
        stored = found.days[day or None] = UnreadableDay(to_moment(last) if last is not None else None)
        stored.count, stored.places = count, msgspec.json.decode(places)
    return found


def add_unreadable(transaction: Transaction, days: Mapping[int | None, UnreadableDay]) -> None:
    """Add what may be calls and cannot be read, by day."""
    if not days:
        return
    lock = (
        "INSERT INTO unreadable (day, count, last, places) VALUES (?, 0, ?, '[]')"
        " ON CONFLICT (day) DO UPDATE SET day = excluded.day"
    )
    rows = sorted((day or UNDATED, each.last and to_microseconds(each.last)) for day, each in days.items())
    transaction.execute_each(lock, rows)
    found = unreadable(transaction)
    for day, added in days.items():
        for place in added.places:
            found.add(place, added.last, 0)
        found.days[day].count += added.count
    transaction.execute_each(
        "UPDATE unreadable SET count = ?, last = ?, places = ? WHERE day = ?",
        (
            (each.count, each.last and to_microseconds(each.last), _encode(each.places).decode(), day or UNDATED)
            for day, each in found.days.items()
            if day in days
        ),
    )


def remove_unreadable(transaction: Transaction, days: Mapping[int, int]) -> None:
    """Take back so many of each day: more of the file shows what they are."""
    for day, count in days.items():
        transaction.execute("UPDATE unreadable SET count = count - ? WHERE day = ?", [count, day])
        transaction.execute("DELETE FROM unreadable WHERE day = ? AND count <= 0", [day])
