"""Counts the records of caller logs, in bounded memory."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from msgspec.structs import astuple

from proxy.callers.identity import Rule
from proxy.callers.record import EARLIEST, Heartbeat, ReportedCall
from proxy.callers.report.attribution import Attribution, Who
from proxy.callers.report.budget import OTHERS, Budget
from proxy.callers.report.coverage import is_valid
from proxy.callers.report.detail import Detail
from proxy.callers.report.reader import Batch
from proxy.callers.report.strangers import STRANGER, STRANGERS, network_row
from proxy.callers.report.tally import NO_VALUE, CallKey, Tally
from proxy.output.formatting import shortened

Dimension = Literal["caller", "owner", "repo", "workflow", "endpoint", "agent"]
DIMENSIONS: tuple[Dimension, ...] = ("caller", "owner", "repo", "workflow", "endpoint", "agent")

_TOKEN = ReportedCall.__struct_fields__.index("token")
_LONGEST_TEXT = 16 << 10


class Limits(NamedTuple):
    """How much is kept, whatever the log holds.

    Attributes:
        callers: rows for callers; callers beyond that share the row `OTHERS`. Callers that a rule names do not count.
        networks: rows for networks of strangers.
        groups: callers in groups; the calls of others are in the group `OTHERS`.
        keys: different keys that are counted before their counts are added up.
        pending: bytes of the lines behind these keys.
        heartbeats: heartbeats; times in which only others prove that the log was written are gaps.
        texts: bytes for values that calls are counted by, and again for the details of callers.
    """

    callers: int = 10_000
    networks: int = 1000
    groups: int = 10_000
    keys: int = 20_000
    pending: int = 32 << 20
    heartbeats: int = 400_000
    texts: int = 64 << 20


DEFAULT_LIMITS = Limits()

_CALLS_AT_ONCE = 250_000
"""After so many calls, the hours of their counts are packed."""

_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)


class Aggregator:
    """Counts records, in any order, by caller and by a second dimension.

    Args:
        rules: the current rules. A call that none of them matches keeps the caller's name in its record.
        by: the second dimension.
        since, until: counts records from `since` on and before `until`; None for no limit.
        wants_detail: whether the caller with a name is reported in detail.
        freeze: `callers_before_freeze` are those with a record from before this time, even if it is before `since`.
        latest: records of this time or later are wrong; None if `until` is set.
        limits: how much is kept.

    Attributes:
        heartbeats: all heartbeats in the logs.
        details: details of the callers that are reported in detail, by name.
        misdated: number of records whose time, or whose interval until the next heartbeat, cannot be right.
        dropped_heartbeats: number of heartbeats beyond the limit.
    """

    def __init__(
        self,
        rules: Sequence[Rule] = (),
        by: Dimension = "caller",
        since: datetime | None = None,
        until: datetime | None = None,
        wants_detail: Callable[[str], bool] = lambda _: False,
        *,
        freeze: datetime | None = None,
        latest: datetime | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.heartbeats: list[Heartbeat] = []
        self.details: dict[str, Detail] = {}
        self.misdated = self.dropped_heartbeats = 0
        self._group = _GROUPS[by]
        self._is_grouped = by != "caller"
        self._latest = latest or until or _LAST
        self._since = max(since or EARLIEST, EARLIEST)
        self._until = min(until or self._latest, self._latest)
        self._wants_detail = wants_detail
        self._freeze = freeze
        self._limits = limits
        self._key_end = None if any(rule.networks for rule in rules) else -1
        self._values: dict[Any, Any] = {}
        self._counts: _Counts = {}
        self._pending = self._calls = 0
        self._outside: dict[tuple[Any, ...], datetime] = {}
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._texts, self._detail_texts = Budget(limits.texts), Budget(limits.texts)
        self._rows = Attribution(rules, freeze, callers=limits.callers, networks=limits.networks, texts=self._texts)

    @property
    def matched_rules(self) -> set[Rule]:
        """The rules that name a caller in the log."""
        return self._rows.matched_rules

    def add(self, batches: Iterable[Batch]) -> None:
        """Count the records of logs."""
        for records, lines in batches:
            self._add_batch(records, lines)
            self._calls += len(records)
            if self._is_full():
                self._add_up(most=self._limits.keys // 2)

    def _add_batch(self, records: Iterable[ReportedCall | Heartbeat], lines: Iterable[bytes]) -> None:
        since, until, key_end, counts = self._since, self._until, self._key_end, self._counts
        # This loop runs a million times, so it calls no functions that it can do without.
        for record, line in zip(records, lines, strict=True):
            if isinstance(record, Heartbeat):
                self._add_heartbeat(record)
                continue
            values = astuple(record)
            moment = values[0]
            # Strangers are counted by their address, and others only if a rule needs it.
            key = values[1:] if values[_TOKEN] is None else values[1:key_end]
            if moment.tzinfo is not UTC:
                moment = record.ts = _in_utc(moment)
            if not since <= moment < until:
                self._leave_out(key, moment, len(line))
                continue
            count = counts.get(key)
            if count is None:
                count = self._start_count(key, record, len(line))
            count.calls += 1
            if moment > count.last:
                count.last = moment
            elif moment < count.first:
                count.first = moment
            hours, hour = count.hours, moment.toordinal() * 24 + moment.hour
            hours[hour] = hours.get(hour, 0) + 1
            if count.detail is not None:
                count.detail.add(record, line)

    def tallies(self) -> dict[tuple[str, str], Tally]:
        """The calls of each caller in each group, by the names of the group and the caller."""
        self._add_up(most=0)
        return self._tallies

    def callers_before_freeze(self) -> frozenset[str] | None:
        """Names of callers from before the freeze; None if there is no freeze, or the log does not go back so far.

        Strangers without a token are there with the name of their network (`strangers.network_row`).
        """
        freeze = self._freeze
        if freeze is None:
            return None
        callers = {
            tally.caller for tally in self.tallies().values() if tally.first_seen < freeze
        } | self._rows.before_freeze
        return frozenset(callers) if callers or any(beat.ts < freeze for beat in self.heartbeats) else None

    # --- one record

    def _add_heartbeat(self, beat: Heartbeat) -> None:
        if beat.ts.tzinfo is not UTC:
            beat.ts = _in_utc(beat.ts)
        if not (is_valid(beat) and EARLIEST <= beat.ts < self._latest):
            self.misdated += 1
        elif len(self.heartbeats) < self._limits.heartbeats:
            self.heartbeats.append(beat)
        else:
            self.dropped_heartbeats += 1

    def _leave_out(self, key: tuple[Any, ...], moment: datetime, size: int) -> None:
        """Remember of a call outside the period what it says about its caller."""
        if not EARLIEST <= moment < self._latest:
            self.misdated += 1
        elif key not in self._outside:
            self._outside[tuple(map(_cut, key))] = moment
            self._pending += size
        else:
            self._outside[key] = min(moment, self._outside[key])

    def _start_count(self, values: tuple[Any, ...], record: ReportedCall, size: int) -> "_Count":
        share = self._values.setdefault
        # Keys share their strings, so that they fit in the processor's cache.
        values = tuple([share(value, value) for value in map(_cut, values)])
        count = self._counts.get(values)
        if count is None:
            key = CallKey(*values)
            count = self._counts[values] = _Count(
                record.ts, network_row(record.client_ip), self._rows.identify(key), size
            )
            count.detail = self._detail_of(self._rows.row_of(key, count.who, count.network), count)
            self._pending += size
        return count

    def _detail_of(self, row: str | None, count: "_Count") -> Detail | None:
        """Where to count details; a new place if it is not known yet whose they are."""
        if row is None:
            wanted = self._wants_detail(count.who.name) or self._wants_detail(count.network)
            return Detail(self._detail_texts) if wanted else None
        if not self._wants_detail(row):
            return None
        return self.details.setdefault(row, Detail(self._detail_texts))

    # --- many records

    def _is_full(self) -> bool:
        limits, keys = self._limits, len(self._counts) + len(self._outside)
        return keys > limits.keys or self._pending > limits.pending or self._calls > _CALLS_AT_ONCE

    def _add_up(self, *, most: int) -> None:
        """Add the counts to the tallies.

        Args:
            most: the number of counts that may wait for a proof that their token is real; if more would have to, they
                are counted as those of strangers.
        """
        for values, first in self._outside.items():
            self._rows.look_outside(CallKey(*values), first)
        waiting = self._add_known(self._counts)
        self._pending = sum(count.size for count in waiting.values())
        if len(waiting) > most or self._pending > self._limits.pending // 2:
            for values, count in waiting.items():
                self._add_to(self._rows.stranger_row(count.network), CallKey(*values), count)
            waiting, self._pending = {}, 0
        self._counts, self._values, self._outside, self._calls = waiting, {}, {}, 0

    def _add_known(self, counts: "_Counts") -> "_Counts":
        """Add the counts of which it is known whose they are, and return the others."""
        others = {}
        for values, count in counts.items():
            key = CallKey(*values)
            row = self._rows.row_of(key, count.who, count.network)
            if row is None:
                others[values] = count
            else:
                self._add_to(row, key, count)
        return others

    def _add_to(self, row: str, key: CallKey, count: "_Count") -> None:
        is_stranger = self._rows.is_stranger(row)
        group = self._group_of(row, key, count, is_stranger=is_stranger)
        who, tally = count.who, self._tallies.get((group, row))
        if tally is None:
            source = STRANGER if is_stranger else OTHERS if row == OTHERS else who.source
            rule = who.rule if row == who.name else None
            owner = who.owner if row == who.name else None
            tally = self._tallies[group, row] = Tally(row, source, rule, owner, count.first, count.last, self._texts)
        tally.add(key, count.calls, count.first, count.last)
        for hour, calls in count.hours.items():
            tally.hours.add(hour, calls)
        if count.detail is not None and self._wants_detail(row):
            mine = self.details.setdefault(row, count.detail)
            if mine is not count.detail:
                mine.merge(count.detail)

    def _group_of(self, row: str, key: CallKey, count: "_Count", *, is_stranger: bool) -> str:
        if not self._is_grouped:
            return row
        if is_stranger:
            return STRANGERS
        group = self._group(key, row, count.who.owner) or NO_VALUE
        is_new = (group, row) not in self._tallies and len(self._tallies) >= self._limits.groups
        return OTHERS if is_new else group


class _Count:
    """The calls with one key.

    Attributes:
        network: the row for strangers that call from the address of the first call.
        size: bytes of the line of the first call.
    """

    __slots__ = ("calls", "detail", "first", "hours", "last", "network", "size", "who")

    def __init__(self, moment: datetime, network: str, who: Who, size: int) -> None:
        self.first = self.last = moment
        self.network, self.who, self.size = network, who, size
        self.hours: dict[int, int] = {}
        self.detail: Detail | None = None
        self.calls = 0


_Counts = dict[tuple[Any, ...], _Count]

_GROUPS: dict[Dimension, Callable[[CallKey, str, str | None], str | None]] = {
    "caller": lambda _key, caller, _owner: caller,
    "owner": lambda _key, _caller, owner: owner,
    "repo": lambda key, _caller, _owner: key.repository,
    "workflow": lambda key, _caller, _owner: key.workflow,
    "endpoint": lambda key, _caller, _owner: key.endpoint,
    "agent": lambda key, _caller, _owner: key.user_agent,
}


def _cut(value: Any) -> Any:
    return shortened(value, _LONGEST_TEXT) if isinstance(value, str) else value


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # the first or the last day of the calendar
        return _FIRST
