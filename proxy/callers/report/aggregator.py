"""Counts the records of caller logs, in bounded memory."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any, Literal, NamedTuple

from msgspec.structs import astuple

from proxy.callers.identity import Rule
from proxy.callers.ledger.ledger import Content
from proxy.callers.log.lives import Lives, is_valid
from proxy.callers.log.reader import Batch
from proxy.callers.record import EARLIEST, Heartbeat, ReportedCall, in_utc
from proxy.callers.report.attribution import Attribution, Who
from proxy.callers.report.brownout_calls import BrownoutCalls
from proxy.callers.report.budget import OTHERS, Budget
from proxy.callers.report.current_calls import CurrentCallsByCaller
from proxy.callers.report.cuts import Cuts
from proxy.callers.report.detail import Detail
from proxy.callers.report.hours import Hours
from proxy.callers.report.jobs import Jobs
from proxy.callers.report.stored import StoredCalls, StoredPeriod
from proxy.callers.report.strangers import STRANGERS, network_row
from proxy.callers.report.succession import Successions
from proxy.callers.report.tally import NO_VALUE, STRANGER, CallKey, Tally
from proxy.output.formatting import shortened

Dimension = Literal["caller", "owner", "repo", "workflow", "endpoint", "agent"]
DIMENSIONS: tuple[Dimension, ...] = ("caller", "owner", "repo", "workflow", "endpoint", "agent")

_TOKEN, _ADDRESS, _INSTANCE = map(ReportedCall.__struct_fields__.index, ("token", "client_ip", "instance"))
_LONGEST_TEXT = 16 << 10


class Limits(NamedTuple):
    """How much is kept, whatever the log holds.

    Attributes:
        callers: rows for callers; callers beyond that share the row `OTHERS`. Callers that a rule names do not count.
        networks: rows for networks of strangers.
        groups: callers in groups; the calls of others are in the group `OTHERS`.
        keys: different keys that are counted before their counts are added up.
        pending: bytes of the lines behind these keys.
        lives: lives of processes; times in which only others prove that the log was written are gaps.
        jobs: jobs that are told apart, with about a kilobyte for each.
        texts: bytes for values that calls are counted by, and again for the details of callers.
    """

    callers: int = 10_000
    networks: int = 1000
    groups: int = 10_000
    keys: int = 20_000
    pending: int = 32 << 20
    lives: int = 100_000
    jobs: int = 40_000
    texts: int = 64 << 20


DEFAULT_LIMITS = Limits()

LEDGER_REACH = timedelta(days=31)
"""A ledger must go back so far before a freeze: what calls once a month would otherwise be taken for new."""

IGNORED_CALLERS = "(ignored)"
"""The group of all ignored callers, where calls are grouped."""

_JOB = 200
"""Bytes that the name of a job has on average."""

_CALLS_AT_ONCE = 250_000
"""After so many calls, the hours of their counts are packed."""

_LAST = datetime.max.replace(tzinfo=UTC)


class Aggregator:
    """Counts records, in any order, by caller and by a second dimension.

    Args:
        rules: the current rules. A call that none of them matches keeps the caller's name in its record.
        by: the second dimension.
        since, until: the period: calls from `since` on and before `until` are counted; None for no limit. Of other
            calls, only their times are kept.
        wants_detail: whether the caller with a name is reported in detail.
        freeze: `callers_before_freeze` are those with a record from before this time, and `successions` tells who
            succeeds them.
        latest: records of this time or later are wrong; None for no limit.
        cuts: two spans in which calls are counted besides, except those that a brownout refused; None for none.
        brownouts: what to tell of calls that brownouts refused, and of others; None for nothing.
        limits: how much is kept.

    Attributes:
        lives: the lives of the processes that wrote the logs.
        details: details of the callers that are reported in detail, by name.
        successions: who called from where; None without a freeze.
        current_calls: calls of the current API, by the callers whose token made them.
        misdated: number of records whose time, or whose interval until the next heartbeat, cannot be right.
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
        cuts: Cuts | None = None,
        brownouts: BrownoutCalls | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.lives = Lives(most=limits.lives)
        self.details: dict[str, Detail] = {}
        self.misdated = 0
        self._group = _GROUPS[by]
        self._is_grouped = by != "caller"
        self._latest = latest or _LAST
        self._since = max(since or EARLIEST, EARLIEST)
        self._until = min(until or self._latest, self._latest)
        self._wants_detail = wants_detail
        self._freeze, self._reach = freeze, timedelta()
        self._cuts, self._brownouts = cuts, brownouts
        self.current_calls = CurrentCallsByCaller()
        self.successions = Successions(freeze) if freeze is not None else None
        self._limits = limits
        needs_address = freeze is not None or any(rule.networks for rule in rules)
        self._key_end = _INSTANCE if needs_address else _ADDRESS
        self._values: dict[Any, Any] = {}
        self._counts: _Counts = {}
        self._pending = self._calls = 0
        self._outside: _Counts = {}
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._texts, self._detail_texts = Budget(limits.texts), Budget(limits.texts)
        self._jobs = Budget(limits.jobs * _JOB)
        self._rows = Attribution(rules, callers=limits.callers, networks=limits.networks, texts=self._texts)

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

    def _add_batch(self, records: Iterable[ReportedCall | Heartbeat], lines: Iterable[bytes]) -> None:  # noqa: C901
        since, until, key_end, counts = self._since, self._until, self._key_end, self._counts
        latest = self.lives.latest
        # This loop runs a million times, so it calls no functions that it can do without.
        for record, line in zip(records, lines, strict=True):
            if isinstance(record, Heartbeat):
                self._add_heartbeat(record)
                continue
            values = astuple(record)
            moment = values[0]
            # Strangers are counted by their address, and others only if a rule needs it.
            key = values[1:_INSTANCE] if values[_TOKEN] is None else values[1:key_end]
            if moment.tzinfo is not UTC:
                moment = record.ts = in_utc(moment)
            if since <= moment < until:
                count = counts.get(key)
                if count is None:
                    count = self._start_count(key, record, len(line))
            elif EARLIEST <= moment < self._latest:
                count = self._start_outside(key, record, len(line))
            else:
                self.misdated += 1
                continue
            if moment > count.last:
                count.last = moment
            elif moment < count.first:
                count.first = moment
            hours, hour = count.hours, moment.toordinal() * 24 + moment.hour
            hours[hour] = hours.get(hour, 0) + 1
            if count.detail is not None:
                count.detail.add(record, line)
            life = latest.get(values[_INSTANCE])
            if life is None or moment > life.due:
                self.lives.saw(values[_INSTANCE], moment)
            elif moment > life.seen:
                life.seen = moment

    def add_stored(self, content: Content) -> int:
        """Count what a ledger holds, and return the number of calls. Hours are in the period if a part of them is."""
        self._reach = LEDGER_REACH
        stored = StoredPeriod(content, self._since, self._until)
        counts = {calls.id: self._stored_count(self._outside, calls) for calls in stored.outside.values()}
        self.current_calls.read(content)
        detailed: dict[int, tuple[StoredCalls, Detail]] = {}
        for calls in stored.inside.values():
            count = counts[calls.id] = self._stored_count(self._counts, calls)
            if self._wants_detail(count.who.name) or self._wants_detail(network_row(count.client_ip)):
                count.detail = count.detail or Detail(self._detail_texts)
                detailed[calls.id] = calls, count.detail
        if self._cuts is not None:
            begin, middle, end = self._cuts
            for number, calls_in_span in content.calls_between(begin, middle):
                counts[number].earlier += calls_in_span
            for number, calls_in_span in content.calls_between(middle, end):
                counts[number].recent += calls_in_span
        if self._brownouts is not None:
            for day, number, *by_hour in content.refused_hours():
                counts[number].add_hours(day, by_hour)
        for number, details in content.details(list(detailed)):
            calls, detail = detailed[number]
            detail.add_stored(calls.key, calls.calls, details)
        for life in content.lives():
            self.lives.restore(life)
        return sum(calls.calls for part in (stored.inside, stored.outside) for calls in part.values())

    def _stored_count(self, counts: "_Counts", calls: StoredCalls) -> "_Count":
        """The count that stored calls belong to, with these calls added to it."""
        key = calls.key
        values: tuple[Any, ...] = key if key.token is None else key[: self._key_end - 1]
        count = counts.get(values)
        if count is None:
            who = self._rows.identify(CallKey(*values))
            count = counts[values] = _Count(calls.first, key.client_ip, who, 0)
        count.first, count.last = min(count.first, calls.first), max(count.last, calls.last)
        if count.stored is None:
            count.stored = calls.hours
        else:
            count.stored.merge(calls.hours)
        return count

    def tallies(self) -> dict[tuple[str, str], Tally]:
        """The calls of each caller in each group, by the names of the group and the caller."""
        self._add_up(most=0)
        return self._tallies

    def callers_before_freeze(self) -> frozenset[str] | None:
        """Names of callers from before the freeze; None if there is no freeze, or no record from long enough before it.

        Strangers without a token are there with the name of their network (`strangers.network_row`).
        """
        freeze = self._freeze
        if freeze is None:
            return None
        begin = self.begin
        if begin is None or begin >= freeze - self._reach:
            return None
        return frozenset(tally.caller for tally in self.tallies().values() if tally.first_seen < freeze)

    @property
    def begin(self) -> datetime | None:
        """Time of the first call or heartbeat."""
        times = chain((tally.first_seen for tally in self.tallies().values()), (life.begin for life in self.lives))
        return min(times, default=None)

    # --- one record

    def _add_heartbeat(self, beat: Heartbeat) -> None:
        if beat.ts.tzinfo is not UTC:
            beat.ts = in_utc(beat.ts)
        if not (is_valid(beat) and EARLIEST <= beat.ts < self._latest):
            self.misdated += 1
        else:
            self.lives.add(beat)

    def _start_count(self, values: tuple[Any, ...], record: ReportedCall, size: int) -> "_Count":
        count, key = self._count(self._counts, values, record, size)
        if key is not None:
            count.detail = self._detail_of(self._rows.row_of(key, count.who, count.client_ip), count)
        return count

    def _start_outside(self, values: tuple[Any, ...], record: ReportedCall, size: int) -> "_Count":
        return self._outside.get(values) or self._count(self._outside, values, record, size)[0]

    def _count(
        self, counts: "_Counts", values: tuple[Any, ...], record: ReportedCall, size: int
    ) -> "tuple[_Count, CallKey | None]":
        """The count of calls with the same values, and its key if it is new."""
        share = self._values.setdefault
        # Keys share their strings, so that they fit in the processor's cache.
        if size > _LONGEST_TEXT:  # no text is longer than its line
            values = tuple(map(_cut, values))
        values = tuple([share(value, value) for value in values])
        count = counts.get(values)
        if count is not None:
            return count, None
        key = CallKey(*values)
        count = counts[values] = _Count(record.ts, record.client_ip, self._rows.identify(key), size)
        self._pending += size
        return count, key

    def _detail_of(self, row: str | None, count: "_Count") -> Detail | None:
        """Where to count details; a new place if it is not known yet whose they are."""
        if row is None:
            wanted = self._wants_detail(count.who.name) or self._wants_detail(network_row(count.client_ip))
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
        for counts in (self._counts, self._outside):
            for values, count in counts.items():
                self._rows.learn(CallKey(*values), count.who)
        waiting = self._add_known(self._counts, self._add_counted)
        outside = self._add_known(self._outside, self._add_times)
        self._pending = sum(count.size for count in (*waiting.values(), *outside.values()))
        if len(waiting) + len(outside) > most or self._pending > self._limits.pending // 2:
            self._add_strangers(waiting, self._add_counted)
            self._add_strangers(outside, self._add_times)
            waiting, outside, self._pending = {}, {}, 0
        self._counts, self._outside, self._values, self._calls = waiting, outside, {}, 0

    def _add_known(self, counts: "_Counts", add: "_Add") -> "_Counts":
        """Add the counts of which it is known whose they are, and return the others. Empties `counts`, for memory."""
        others = {}
        for values in list(counts):
            key, count = CallKey(*values), counts.pop(values)
            row = self._rows.row_of(key, count.who, count.client_ip)
            if row is None:
                others[values] = count
            else:
                add(self._tally(row, key, count), key, count)
                self.current_calls.learn(row, key.token)
                if self._brownouts is not None and not self._rows.is_stranger(row):
                    self._brownouts.add(row, key, count.hours, count.packed_hours())
                if self.successions is not None and row != OTHERS and not self._rows.is_stranger(row):
                    self.successions.add(row, key, count.first, count.last)
        return others

    def _add_strangers(self, counts: "_Counts", add: "_Add") -> None:
        for values, count in counts.items():
            key = CallKey(*values)
            add(self._tally(self._rows.stranger_row(count.client_ip), key, count), key, count)

    def _tally(self, row: str, key: CallKey, count: "_Count") -> Tally:
        is_stranger = self._rows.is_stranger(row)
        group = self._group_of(row, key, count, is_stranger=is_stranger)
        tally = self._tallies.get((group, row))
        if tally is None:
            who = count.who
            source = STRANGER if is_stranger else OTHERS if row == OTHERS else who.source
            rule, owner = (who.rule, who.owner) if row == who.name else (None, None)
            jobs = Jobs(self._jobs)
            tally = Tally(row, source, rule, owner, count.first, count.last, self._texts, jobs)
            self._tallies[group, row] = tally
        return tally

    def _add_counted(self, tally: Tally, key: CallKey, count: "_Count") -> None:
        self._add_spans(tally, key, count)
        tally.add(key, count.packed_hours(), count.first, count.last)
        if count.detail is not None and self._wants_detail(tally.caller):
            mine = self.details.setdefault(tally.caller, count.detail)
            if mine is not count.detail:
                mine.merge(count.detail)

    def _add_times(self, tally: Tally, key: CallKey, count: "_Count") -> None:
        self._add_spans(tally, key, count)
        tally.add_times(key, count.packed_hours(), count.first, count.last)

    def _add_spans(self, tally: Tally, key: CallKey, count: "_Count") -> None:
        # A tool that tries again in a brownout does not call more.
        if self._cuts is not None and count.last >= self._cuts.begin and key.outcome != "brownout":
            earlier, recent = self._cuts.split(count.hours)
            tally.earlier += count.earlier + earlier
            tally.recent += count.recent + recent

    def _group_of(self, row: str, key: CallKey, count: "_Count", *, is_stranger: bool) -> str:
        if not self._is_grouped:
            return row
        if is_stranger:
            return STRANGERS
        if count.who.rule is not None and count.who.rule.ignore:
            return IGNORED_CALLERS
        group = self._group(key, row, count.who.owner) or NO_VALUE
        is_new = (group, row) not in self._tallies and len(self._tallies) >= self._limits.groups
        return OTHERS if is_new else group


class _Count:
    """The calls with one key.

    Attributes:
        client_ip: the address of the first call.
        size: bytes of the line of the first call.
        earlier, recent: calls that a ledger has in the spans of `Cuts`.
    """

    __slots__ = ("client_ip", "detail", "earlier", "first", "hours", "last", "recent", "size", "stored", "who")

    def __init__(self, moment: datetime, client_ip: str | None, who: Who, size: int) -> None:
        self.first = self.last = moment
        self.client_ip, self.who, self.size = client_ip, who, size
        self.hours: dict[int, int] = {}
        self.earlier = self.recent = 0
        self.stored: Hours | None = None
        self.detail: Detail | None = None

    def add_hours(self, day: int, by_hour: Iterable[int]) -> None:
        """Add the number of calls in each hour of a day."""
        for hour, calls in enumerate(by_hour, day * 24):
            if calls:
                self.hours[hour] = self.hours.get(hour, 0) + calls

    def packed_hours(self) -> Hours:
        """When the calls were."""
        return self.stored if self.stored is not None else Hours.of(self.hours)


_Counts = dict[tuple[Any, ...], _Count]
_Add = Callable[[Tally, CallKey, _Count], None]

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
