"""When which process was writing the log."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from proxy.callers.ledger.database import Row, Transaction
from proxy.callers.ledger.schema import to_microseconds, to_moment
from proxy.callers.log.lives import Life
from proxy.callers.record import Heartbeat

_encode = msgspec.json.Encoder().encode
_LIFE = "first, last_beat, seen, has_stopped"
_ADD_LIFE = (
    f"INSERT INTO lives (instance, began, {_LIFE}) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (instance, began) DO UPDATE"
    " SET last_beat = excluded.last_beat, seen = excluded.seen, has_stopped = excluded.has_stopped"
)
_decode_beat = msgspec.json.Decoder(Heartbeat).decode


def _life(row: Row) -> Life:
    first, last_beat, seen, has_stopped = row
    return Life.restored(_decode_beat(first), to_moment(last_beat), to_moment(seen), has_stopped=bool(has_stopped))


def lives(transaction: Transaction) -> Iterator[Life]:
    """The lives of all processes, those of each in order of time."""
    query = f"SELECT {_LIFE} FROM lives ORDER BY instance, began"
    return (_life(row) for row in transaction.fetch(query))


def add_lives(transaction: Transaction, beats: Iterable[Heartbeat], seen: Mapping[str, datetime]) -> None:
    """Add heartbeats, and when each process was seen last."""
    by_instance: dict[str, list[Heartbeat]] = {instance: [] for instance in seen}
    for beat in beats:
        by_instance.setdefault(beat.instance, []).append(beat)
    for instance in sorted(by_instance):
        query = f"SELECT {_LIFE} FROM lives WHERE instance = ? ORDER BY began DESC LIMIT 1"
        known = [_life(row) for row in transaction.fetch(query, [instance])]
        for beat in sorted(by_instance[instance], key=lambda beat: beat.ts):
            if not known or not known[-1].takes(beat):
                known.append(Life(beat))
        if known and instance in seen:
            known[-1].seen = max(known[-1].seen, min(seen[instance], known[-1].due))
        transaction.execute_each(_ADD_LIFE, (_life_row(life) for life in known))


def _life_row(life: Life) -> Sequence[Any]:
    first, instance = _encode(life.first).decode(), life.first.instance
    times = to_microseconds(life.last_beat), to_microseconds(life.seen)
    return instance, to_microseconds(life.begin), first, *times, int(life.has_stopped)
