"""Compares the ledger with logs: whether it has all their calls, and no others."""

import functools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from msgspec.structs import astuple

from proxy.callers.ledger.counts import Key, of_strangers, without_person
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.ledger.schema import KEY
from proxy.callers.log.lives import Lives
from proxy.callers.log.reader import Reader
from proxy.callers.record import CLOCK_SKEW, EARLIEST, Heartbeat, in_utc

_CALLER, _TOKEN = KEY.index("caller"), KEY.index("token")
_KEPT_IN_MIND = 100_000


class Difference(NamedTuple):
    """A day on which the ledger has another number of calls of a caller than the logs.

    Attributes:
        day: as an ordinal.
        caller: its name; `counts.ANYWHERE` for all without a token that the service accepted.
    """

    day: int
    caller: str
    in_logs: int
    in_ledger: int


class Comparison(NamedTuple):
    """How a ledger and logs differ.

    Attributes:
        calls: number of calls in the logs.
        first, last: the first and the last day of the logs, as ordinals; 0 if there are no calls.
        others: hosts that have written to the ledger in the same time, but not to these logs.
        differences: in order of time. The ledger may have more calls on the first day of the logs and today, and on
            each day if there are other hosts.
    """

    calls: int
    first: int
    last: int
    others: list[str]
    differences: list[Difference]


_Normalize = Callable[[Key], Key]
_Calls = Counter[tuple[int, Key]]


def compare(ledger: Ledger, paths: Iterable[str], now: datetime) -> Comparison:
    """Compare.

    Args:
        ledger: is read after the logs.
        paths: of the logs.
        now: the time, UTC.

    Raises:
        LedgerUnavailable: the ledger cannot be read.
        NoLog: a log cannot be read.
    """
    normalize = _normalization(ledger.proven_tokens())
    logged, lives = _read(paths, now, normalize)
    days = {day for day, _ in logged} or {0}
    first, last = min(days), max(days)
    stored, others = _stored(ledger, first, last, normalize)
    others -= {life.host for life in lives}
    one_sided = range(first, last + 1) if others else (first, now.toordinal())
    found = _differences(logged, stored, one_sided)
    return Comparison(logged.total(), first, last, sorted(others), found)


def _normalization(proven: Iterable[str]) -> _Normalize:
    """What keys have in common, however many strangers there were, and after persons were forgotten."""
    tokens = frozenset(proven)

    @functools.lru_cache(_KEPT_IN_MIND)
    def normalize(key: Key) -> Key:
        return without_person(key) if key[_TOKEN] in tokens else of_strangers(key)

    return normalize


def _read(paths: Iterable[str], now: datetime, normalize: _Normalize) -> tuple[_Calls, Lives]:
    calls: _Calls = Counter()
    lives, latest = Lives(), now + CLOCK_SKEW
    for records, _ in Reader(paths, latest=latest):
        for record in records:
            if record.ts.tzinfo is not UTC:
                record.ts = in_utc(record.ts)
            if isinstance(record, Heartbeat):
                lives.add(record)
            elif EARLIEST <= record.ts < latest:
                calls[record.ts.toordinal(), normalize(astuple(record)[1 : 1 + len(KEY)])] += 1
    return calls, lives


def _stored(ledger: Ledger, first: int, last: int, normalize: _Normalize) -> tuple[_Calls, set[str]]:
    """The calls on these days, and the hosts that wrote to the ledger then."""
    calls: _Calls = Counter()
    with ledger.content() as content:
        keys = {number: normalize(key) for number, key in content.keys().items()}
        for day, number, _, _, count, _ in content.days(first, last + 1):
            calls[day, keys[number]] += count
        lives = [life for life in content.lives() if life.begin.toordinal() <= last and life.seen.toordinal() >= first]
    return calls, {life.host for life in lives}


def _differences(logged: _Calls, stored: _Calls, one_sided: Iterable[int]) -> list[Difference]:
    found: defaultdict[tuple[int, str], list[int]] = defaultdict(lambda: [0, 0])
    for day, key in logged.keys() | stored.keys():
        mine, theirs = logged[day, key], stored[day, key]
        if mine > theirs or (mine < theirs and day not in one_sided):
            sums = found[day, key[_CALLER]]
            sums[0] += mine
            sums[1] += theirs
    return [Difference(*where, *sums) for where, sums in sorted(found.items())]
