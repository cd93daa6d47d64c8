"""What calls said beyond their key."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from proxy.callers.ledger.counts import Key, key_id
from proxy.callers.ledger.database import Transaction
from proxy.callers.ledger.details import KeyDetails

_AT_ONCE = 500
"""Keys in one query."""

_encode = msgspec.json.Encoder().encode
_decode_details = msgspec.json.Decoder(KeyDetails).decode


def details_of(transaction: Transaction, keys: Sequence[int]) -> Iterator[tuple[int, KeyDetails]]:
    """The details of calls, each with the ID of the key."""
    for begin in range(0, len(keys), _AT_ONCE):
        part = keys[begin : begin + _AT_ONCE]
        query = f"SELECT key, details FROM details WHERE key IN ({', '.join('?' * len(part))})"
        for key, details in transaction.fetch(query, part):
            yield key, _decode_details(details)


def add_details(transaction: Transaction, details: Mapping[Key, KeyDetails]) -> None:
    """Add what calls said, by key."""
    added = {key_id(key): detail for key, detail in sorted(details.items(), key=lambda item: key_id(item[0]))}
    # Locks the rows, so that no other process changes them between the query and the change.
    lock = "INSERT INTO details (key, details) VALUES (?, '{}') ON CONFLICT (key) DO UPDATE SET key = excluded.key"
    transaction.execute_each(lock, ([key] for key in added))
    for key, known in details_of(transaction, list(added)):
        known.merge(added[key])
        added[key] = known
    transaction.execute_each(
        "UPDATE details SET details = ? WHERE key = ?",
        ((_encode(detail).decode(), key) for key, detail in added.items()),
    )
