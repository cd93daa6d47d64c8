"""Reads and writes the ledger."""

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

import msgspec

from proxy.callers.ledger import schema
from proxy.callers.ledger.counts import Counts, DayCount, Key
from proxy.callers.ledger.database import Conflict, Database, Row, Transaction
from proxy.callers.ledger.details import KeyDetails
from proxy.callers.ledger.schema import HOURS, KEY
from proxy.callers.log.lives import Life
from proxy.callers.log.unreadable import Unreadable, UnreadableDay
from proxy.callers.record import Heartbeat

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_UNDATED = 0
"""The day of what cannot be dated."""

_AT_ONCE = 500
"""Keys in one query."""

_ATTEMPTS = 5
"""How often a transaction is tried that meets others."""


class Progress(NamedTuple):
    """How far a file of the caller log is counted.

    Attributes:
        file: the ID of the file (`feeder.file_id`).
        name: its path.
        begin: bytes that were counted before.
        end: bytes that are counted with this.
        at: the time.
        lines: lines up to the end.
    """

    file: str
    name: str
    begin: int
    end: int
    at: datetime
    lines: int = 0


class Counted(NamedTuple):
    """How far a file of the caller log was counted, and when: bytes and lines from its beginning."""

    position: int
    lines: int
    at: datetime


class CountedMeanwhile(Exception):
    """Another process has counted the same part of the log."""


class Ledger:
    """What is known about calls, by day.

    Args:
        database: where it is stored.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self) -> None:
        """Create the tables, or bring them up to date.

        Raises:
            LedgerUnavailable: the database cannot be used.
        """
        schema.upgrade(self._database)

    def close(self) -> None:
        """Close the connection to the database."""
        self._database.close()

    def add(self, counts: Counts, unreadable: Unreadable | None = None, progress: Progress | None = None) -> None:
        """Add what was read in a part of the log.

        Args:
            counts: the records.
            unreadable: what cannot be read and may be calls.
            progress: the part of the log. It is remembered if the rest is added, and only then.

        Raises:
            CountedMeanwhile: another process has added this part; nothing was changed.
            LedgerUnavailable: nothing was changed, or the connection broke at the moment of the change.
        """
        repeated(self._database, lambda transaction: _add(transaction, counts, unreadable, progress))

    def counted(self, file: str) -> Counted:
        """How far a file is counted."""
        with self._database.transaction(writes=False) as transaction:
            found = list(transaction.fetch("SELECT position, lines, counted FROM files WHERE id = ?", [file]))
        return Counted(found[0][0], found[0][1], _moment(found[0][2])) if found else Counted(0, 0, _EPOCH)

    def proven_tokens(self) -> list[str]:
        """Fingerprints of the tokens that the service has accepted."""
        with self._database.transaction(writes=False) as transaction:
            query = "SELECT DISTINCT token FROM keys WHERE status < 400 AND token IS NOT NULL"
            return [token for (token,) in transaction.fetch(query)]

    def fingerprint_key(self, proposed: bytes) -> bytes:
        """The key of the fingerprints; the proposed one if there is none yet.

        Raises:
            LedgerUnavailable: it cannot be read.
        """
        with self._database.transaction(writes=True) as transaction:
            add = "INSERT INTO secrets (name, value) VALUES ('fingerprint_key', ?) ON CONFLICT DO NOTHING"
            transaction.execute(add, [proposed.decode()])
            [(key,)] = transaction.fetch("SELECT value FROM secrets WHERE name = 'fingerprint_key'")
        return str(key).encode()

    @contextlib.contextmanager
    def content(self) -> Iterator["Content"]:
        """What the ledger holds at one moment.

        Raises:
            LedgerUnavailable: the database cannot be used, also while the block runs.
        """
        with self._database.transaction(writes=False) as transaction:
            schema.check(transaction)
            yield Content(transaction)


_Result = TypeVar("_Result")


def repeated(database: Database, change: Callable[[Transaction], _Result]) -> _Result:
    """Change something in one transaction, and again if it met another one.

    Raises:
        LedgerUnavailable: it is not changed.
    """
    for _ in range(_ATTEMPTS - 1):
        with contextlib.suppress(Conflict), database.transaction(writes=True) as transaction:
            return change(transaction)
    with database.transaction(writes=True) as transaction:
        return change(transaction)


class Content:
    """What a ledger holds."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def keys(self) -> dict[int, Key]:
        """All keys by their IDs."""
        return {row[0]: row[1:] for row in self._transaction.fetch(f"SELECT id, {', '.join(KEY)} FROM keys")}

    def days(self, begin: int, end: int) -> Iterable[Row]:
        """The calls from a day on and before another one: `DAY_COLUMNS`."""
        return self._transaction.stream(_DAYS, [begin, end])

    def hours(self, day: int) -> Iterable[Row]:
        """The calls on one day: `DAY_COLUMNS`, and after that their number in each hour."""
        return self._transaction.fetch(_HOURS, [day])

    def details(self, keys: Sequence[int]) -> Iterator[tuple[int, KeyDetails]]:
        """The details of calls, each with the ID of the key."""
        return _details(self._transaction, keys)

    def lives(self) -> Iterator[Life]:
        """The lives of the processes that wrote the log, those of each process in order of time."""
        query = f"SELECT {_LIFE} FROM lives ORDER BY instance, began"
        return (_life(row) for row in self._transaction.fetch(query))

    def unreadable(self) -> Unreadable:
        """What may be calls and cannot be read."""
        return _unreadable(self._transaction)


def _add(transaction: Transaction, counts: Counts, unreadable: Unreadable | None, progress: Progress | None) -> None:
    if progress is not None:
        _advance(transaction, progress)
    _add_calls(transaction, counts.days)
    add_details(transaction, counts.details())
    _add_lives(transaction, counts.heartbeats, counts.seen)
    _add_unreadable(transaction, unreadable.days if unreadable is not None else {})


# --- calls

DAY_COLUMNS = ("day", "key", "first", "last", "calls", "hours")
"""Columns of the calls of one day with one key: `hours` has a bit for each hour with calls."""

_DAY = ", ".join(DAY_COLUMNS)
ADD_KEY = f"INSERT INTO keys (id, {', '.join(KEY)}) VALUES ({', '.join('?' * (1 + len(KEY)))}) ON CONFLICT DO NOTHING"
ADD_CALLS = (
    f"INSERT INTO calls ({_DAY}, {', '.join(HOURS)}) VALUES ({', '.join('?' * (6 + len(HOURS)))})"
    " ON CONFLICT (day, key) DO UPDATE SET"
    " first = CASE WHEN excluded.first < calls.first THEN excluded.first ELSE calls.first END,"
    " last = CASE WHEN excluded.last > calls.last THEN excluded.last ELSE calls.last END,"
    " calls = calls.calls + excluded.calls, hours = calls.hours | excluded.hours, "
    + ", ".join(f"{hour} = calls.{hour} + excluded.{hour}" for hour in HOURS)
)
_DAYS = f"SELECT {_DAY} FROM calls WHERE day >= ? AND day < ?"
_HOURS = f"SELECT {_DAY}, {', '.join(HOURS)} FROM calls WHERE day = ?"


def key_id(key: Key) -> int:
    """The ID of a key: the same in all processes."""
    digest = hashlib.blake2b(msgspec.msgpack.encode(key), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def _add_calls(transaction: Transaction, days: Mapping[tuple[int, Key], DayCount]) -> None:
    ids = {key: key_id(key) for _, key in days}
    # In this order: processes that lock the same rows in different orders would wait for each other for ever.
    ordered = sorted((ids[key], day, count) for (day, key), count in days.items())
    transaction.execute_each(ADD_KEY, sorted((number, *key) for key, number in ids.items()))
    transaction.execute_each(ADD_CALLS, (_row(number, day, count) for number, day, count in ordered))


def _row(number: int, day: int, count: DayCount) -> Sequence[int]:
    calls, bits = sum(count.hours.values()), sum(1 << hour for hour in count.hours)
    hours = (count.hours.get(hour, 0) for hour in range(24))
    return day, number, _microseconds(count.first), _microseconds(count.last), calls, bits, *hours


# --- details

_encode = msgspec.json.Encoder().encode
_decode_details = msgspec.json.Decoder(KeyDetails).decode


def _details(transaction: Transaction, keys: Sequence[int]) -> Iterator[tuple[int, KeyDetails]]:
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
    for key, known in _details(transaction, list(added)):
        known.merge(added[key])
        added[key] = known
    transaction.execute_each(
        "UPDATE details SET details = ? WHERE key = ?",
        ((_encode(detail).decode(), key) for key, detail in added.items()),
    )


# --- processes

_LIFE = "first, last_beat, seen, has_stopped"
_ADD_LIFE = (
    f"INSERT INTO lives (instance, began, {_LIFE}) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (instance, began) DO UPDATE"
    " SET last_beat = excluded.last_beat, seen = excluded.seen, has_stopped = excluded.has_stopped"
)
_decode_beat = msgspec.json.Decoder(Heartbeat).decode


def _life(row: Row) -> Life:
    first, last_beat, seen, has_stopped = row
    return Life.restored(_decode_beat(first), _moment(last_beat), _moment(seen), has_stopped=bool(has_stopped))


def _add_lives(transaction: Transaction, beats: Iterable[Heartbeat], seen: Mapping[str, datetime]) -> None:
    by_instance: dict[str, list[Heartbeat]] = {instance: [] for instance in seen}
    for beat in beats:
        by_instance.setdefault(beat.instance, []).append(beat)
    for instance in sorted(by_instance):
        query = f"SELECT {_LIFE} FROM lives WHERE instance = ? ORDER BY began DESC LIMIT 1"
        lives = [_life(row) for row in transaction.fetch(query, [instance])]
        for beat in sorted(by_instance[instance], key=lambda beat: beat.ts):
            if not lives or not lives[-1].takes(beat):
                lives.append(Life(beat))
        if lives and instance in seen:
            lives[-1].seen = max(lives[-1].seen, min(seen[instance], lives[-1].due))
        transaction.execute_each(_ADD_LIFE, (_life_row(life) for life in lives))


def _life_row(life: Life) -> Sequence[Any]:
    first, instance = _encode(life.first).decode(), life.first.instance
    times = _microseconds(life.last_beat), _microseconds(life.seen)
    return instance, _microseconds(life.begin), first, *times, int(life.has_stopped)


# --- what cannot be read


def _unreadable(transaction: Transaction) -> Unreadable:
    found = Unreadable()
    for day, count, last, places in transaction.fetch("SELECT day, count, last, places FROM unreadable"):
        stored = found.days[day or None] = UnreadableDay(_moment(last) if last is not None else None)
        stored.count, stored.places = count, msgspec.json.decode(places)
    return found


def _add_unreadable(transaction: Transaction, days: Mapping[int | None, UnreadableDay]) -> None:
    if not days:
        return
    lock = (
        "INSERT INTO unreadable (day, count, last, places) VALUES (?, 0, ?, '[]')"
        " ON CONFLICT (day) DO UPDATE SET day = excluded.day"
    )
    rows = sorted((day or _UNDATED, each.last and _microseconds(each.last)) for day, each in days.items())
    transaction.execute_each(lock, rows)
    found = _unreadable(transaction)
    for day, added in days.items():
        for place in added.places:
            found.add(place, added.last, 0)
        found.days[day].count += added.count
    transaction.execute_each(
        "UPDATE unreadable SET count = ?, last = ?, places = ? WHERE day = ?",
        (
            (each.count, each.last and _microseconds(each.last), _encode(each.places).decode(), day or _UNDATED)
            for day, each in found.days.items()
            if day in days
        ),
    )


# --- files


def _advance(transaction: Transaction, progress: Progress) -> None:
    transaction.execute(
        "INSERT INTO files (id, name, position, lines, counted) VALUES (?, ?, 0, 0, 0) ON CONFLICT (id) DO NOTHING",
        [progress.file, progress.name],
    )
    changed = transaction.execute(
        "UPDATE files SET position = ?, lines = ?, name = ?, counted = ? WHERE id = ? AND position = ?",
        [progress.end, progress.lines, progress.name, _microseconds(progress.at), progress.file, progress.begin],
    )
    if not changed:
        raise CountedMeanwhile


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
