"""Adds up records for the ledger.

Pure: the time is an argument.
"""

import hashlib
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec.structs import astuple

from proxy.callers.ledger.details import LAST_CALLS, KeyDetails
from proxy.callers.ledger.schema import KEY
from proxy.callers.networks import network_of
from proxy.callers.record import EARLIEST, Heartbeat, ReportedCall, in_utc

Key = tuple[Any, ...]
"""The values of the columns `schema.KEY`, which are the fields of a `ReportedCall` after the first one."""


def key_id(key: Key) -> int:
    """The ID of a key: the same in all processes."""
    digest = hashlib.blake2b(msgspec.msgpack.encode(key), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


_KEY_END = 1 + len(KEY)
_INSTANCE = ReportedCall.__struct_fields__.index("instance")
_KEPT = frozenset({"endpoint", "outcome", "status", "caller_source"})
_CALLER, _SOURCE, _STATUS, _TOKEN, _ADDRESS = map(
    KEY.index, ("caller", "caller_source", "status", "token", "client_ip")
)
ANYWHERE = "unknown"

_DAYS = 8
"""Days of which the keys of strangers are remembered."""


class DayCount:
    """The calls with one key on one day.

    Attributes:
        first: time of the first one.
        last: time of the last one.
        hours: their number in each hour with calls, from 0 to 23.
        lines: the lines of the last ones, each with its time.
        details: their errors and ignored fields, if there were any.
    """

    __slots__ = ("details", "first", "hours", "last", "lines")

    def __init__(self, moment: datetime) -> None:
        self.first = self.last = moment
        self.hours: dict[int, int] = {}
        self.lines: deque[tuple[datetime, bytes]] = deque(maxlen=LAST_CALLS)
        self.details: KeyDetails | None = None


class Strangers:
    """Bounds the keys of calls by strangers, who could make up any number of them.

    Args:
        proven: tokens that the service has accepted, by their fingerprints.
        most: keys on one day, and `in_all`: keys in the ledger. Further calls of strangers are counted by network and
            outcome; once there are twice as many keys, by outcome only.

    Attributes:
        proven: tokens that the service has accepted; those of other hosts may be added.
        stored: IDs of the keys of strangers in the ledger.
    """

    def __init__(self, proven: Iterable[str] = (), most: int = 1000, in_all: int = 10_000) -> None:
        self.proven = set(proven)
        self.stored: set[int] = set()
        self._most, self._in_all = most, in_all
        self._days: dict[int, set[Key]] = {}

    def bounded(self, key: Key, day: int) -> Key:
        """The key to count a call by.

        Args:
            key: of the call.
            day: of the call, as an ordinal.
        """
        token = key[_TOKEN]
        if token is not None and key[_STATUS] < 400:
            self.proven.add(token)
        if token in self.proven:
            return key
        keys = self._days.get(day)
        if keys is None:
            if len(self._days) >= _DAYS:
                del self._days[min(self._days)]
            keys = self._days[day] = set()
        if key in keys:
            return key
        if self._is_full(keys, 1) and key_id(key) not in self.stored:
            network = network_of(key[_ADDRESS])
            key = _folded(key, str(network.network_address) if network is not None else ANYWHERE)
            if key not in keys and self._is_full(keys, 2) and key_id(key) not in self.stored:
                return _folded(key, ANYWHERE)
        keys.add(key)
        self.stored.add(key_id(key))
        return key

    def _is_full(self, keys: set[Key], times: int) -> bool:
        return len(keys) >= times * self._most or len(self.stored) >= times * self._in_all


class Counts:
    """Calls and heartbeats that the ledger does not have yet.

    Args:
        strangers: bounds their keys.

    Attributes:
        days: calls by day, as an ordinal, and key.
        heartbeats: in the order of the log.
        seen: time of the last record of each process.
        misdated: number of records whose time cannot be right.
    """

    def __init__(self, strangers: Strangers) -> None:
        self.days: dict[tuple[int, Key], DayCount] = {}
        self.heartbeats: list[Heartbeat] = []
        self.seen: dict[str, datetime] = {}
        self.misdated = 0
        self._strangers = strangers

    def add(self, records: Iterable[ReportedCall | Heartbeat], lines: Iterable[bytes], latest: datetime) -> None:
        """Add records.

        Args:
            records: the records.
            lines: the line of each.
            latest: records of this time or later are wrong.
        """
        days, seen = self.days, self.seen
        # This loop runs for each call of the proxy, so it calls no functions that it can do without.
        for record, line in zip(records, lines, strict=True):
            moment = record.ts
            if moment.tzinfo is not UTC:
                moment = record.ts = in_utc(moment)
            if not EARLIEST <= moment < latest:
                self.misdated += 1
                continue
            if isinstance(record, Heartbeat):
                self.heartbeats.append(record)
                continue
            values = astuple(record)
            day, hour, key = moment.toordinal(), moment.hour, values[1:_KEY_END]
            count = days.get((day, key)) or self._new_count(day, key, moment)
            if moment > count.last:
                count.last = moment
            elif moment < count.first:
                count.first = moment
            hours = count.hours
            hours[hour] = hours.get(hour, 0) + 1
            count.lines.append((moment, line))
            if record.status >= 400 or b'"ignored_fields"' in line:
                count.details = count.details or KeyDetails()
                count.details.add_fields(record.status, record.outcome, line)
            instance = values[_INSTANCE]
            if instance is not None and moment > seen.get(instance, EARLIEST):
                seen[instance] = moment

    def details(self) -> dict[Key, KeyDetails]:
        """Details of the calls, by key."""
        found: dict[Key, KeyDetails] = {}
        for (_, key), count in self.days.items():
            details = found.setdefault(key, KeyDetails())
            details.add_last(count.lines)
            if count.details is not None:
                details.merge(count.details)
        return found

    def _new_count(self, day: int, key: Key, moment: datetime) -> DayCount:
        bounded = self._strangers.bounded(key, day)
        return self.days.setdefault((day, bounded), DayCount(moment))


def without_person(key: Key) -> Key:
    """The key without address and user. The network of the address stays, with zeros for the rest."""
    values = dict(zip(KEY, key, strict=True))
    address = values["client_ip"]
    network = network_of(address)
    values["client_ip"] = str(network.network_address) if network is not None else None
    if values["caller_source"] == "address" and address is not None:  # the name begins with it
        values["caller"] = values["caller"].replace(address, values["client_ip"] or "unknown", 1)
    values["run_user"] = None
    return tuple(values.values())


def of_strangers(key: Key) -> Key:
    """What calls of strangers have in common, whether they have too many keys or not."""
    return _folded(key, ANYWHERE)


def _folded(key: Key, address: str) -> Key:
    values = [value if name in _KEPT else None for name, value in zip(KEY, key, strict=True)]
    values[_CALLER] = values[_ADDRESS] = address
    values[_SOURCE] = "address"
    return tuple(values)
