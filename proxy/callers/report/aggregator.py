"""Counts the records of caller logs."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from msgspec.structs import astuple

from proxy.callers.identity import Rule, first_match
from proxy.callers.record import Heartbeat
from proxy.callers.report.detail import Detail
from proxy.callers.report.reader import Batch
from proxy.callers.report.tally import NO_VALUE, CallKey, Tally

Dimension = Literal["caller", "owner", "repo", "workflow", "endpoint", "agent"]
DIMENSIONS: tuple[Dimension, ...] = ("caller", "owner", "repo", "workflow", "endpoint", "agent")


class Aggregator:
    """Counts records, in any order, by caller and by a second dimension.

    Args:
        rules: the current rules. A call that none of them matches keeps the caller's name in its record.
        by: the second dimension.
        since, until: counts records from `since` on and before `until`; None for no limit.
        wants_detail: whether the caller with a name is reported in detail.
        freeze: `callers_before_freeze` are those with a record from before this time, even if it is before `since`.

    Attributes:
        heartbeats: all heartbeats in the logs.
        details: details of the callers that are reported in detail, by name.
        matched_rules: the rules that name a caller in the log.
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
    ) -> None:
        self.heartbeats: list[Heartbeat] = []
        self.details: dict[str, Detail] = {}
        self.matched_rules: set[Rule] = set()
        self._rules = rules
        self._group = _GROUPS[by]
        self._is_bounded = since is not None or until is not None
        self._since = since or datetime.min.replace(tzinfo=UTC)
        self._until = until or datetime.max.replace(tzinfo=UTC)
        self._wants_detail = wants_detail
        self._freeze = freeze
        self._before_freeze: set[tuple[Any, ...]] = set()
        self._key_end = None if any(rule.networks for rule in rules) else -1
        self._values: dict[Any, Any] = {}
        self._counts: dict[tuple[Any, ...], _Count] = {}
        self._tallies: dict[tuple[str, str], Tally] = {}

    def add(self, batches: Iterable[Batch]) -> None:
        """Count the records of logs."""
        since, until, key_end, counts = self._since, self._until, self._key_end, self._counts
        share, is_bounded = self._values.setdefault, self._is_bounded
        for records, lines in batches:
            # This loop runs a million times, so it calls no functions that it can do without.
            for record, line in zip(records, lines, strict=True):
                if isinstance(record, Heartbeat):
                    self.heartbeats.append(record)
                    continue
                values = astuple(record)
                moment, key = values[0], values[1:key_end]
                if moment.tzinfo is not UTC:
                    moment = record.ts = _in_utc(moment)
                if is_bounded and not since <= moment < until:
                    self._skip(key, moment)
                    continue
                count = counts.get(key)
                if count is None:
                    # Keys share their strings, so that they fit in the processor's cache.
                    key = tuple([share(value, value) for value in key])
                    count = counts[key] = self._start_count(CallKey(*key), moment)
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
        for key, count in self._counts.items():
            count.tally.add(CallKey(*key), count.calls, count.first, count.last)
        self._counts.clear()
        return self._tallies

    def callers_before_freeze(self) -> frozenset[str] | None:
        """Names of callers from before the freeze; None if there is no freeze, or the log does not go back so far."""
        freeze = self._freeze
        if freeze is None:
            return None
        callers = {self._identify(CallKey(*key))[0] for key in self._before_freeze}
        callers |= {tally.caller for tally in self.tallies().values() if tally.first_seen < freeze}
        return frozenset(callers) if callers or any(beat.ts < freeze for beat in self.heartbeats) else None

    def _skip(self, key: tuple[Any, ...], moment: datetime) -> None:
        if self._freeze is not None and moment < self._freeze:
            self._before_freeze.add(key)

    def _identify(self, key: CallKey) -> tuple[str, str | None, Rule | None]:
        """The caller's name, its owner, and the rule that names it."""
        rule = first_match(self._rules, key.attributes)
        if rule is None:
            return key.caller or NO_VALUE, key.owner, None
        self.matched_rules.add(rule)
        return rule.name, rule.owner, rule

    def _start_count(self, key: CallKey, moment: datetime) -> "_Count":
        caller, owner, rule = self._identify(key)
        group = (self._group(key, caller, owner) or NO_VALUE, caller)
        tally = self._tallies.get(group)
        if tally is None:
            source = "known" if rule is not None else key.caller_source
            tally = self._tallies[group] = Tally(caller, source, rule, owner, moment, moment)
        detail = self.details.setdefault(caller, Detail()) if self._wants_detail(caller) else None
        return _Count(tally, moment, detail)


class _Count:
    """The calls with one key. Their hours are counted in the tally directly."""

    __slots__ = ("calls", "detail", "first", "hours", "last", "tally")

    def __init__(self, tally: Tally, moment: datetime, detail: Detail | None) -> None:
        self.tally, self.hours, self.detail = tally, tally.hours, detail
        self.first = self.last = moment
        self.calls = 0


_GROUPS: dict[Dimension, Callable[[CallKey, str, str | None], str | None]] = {
    "caller": lambda _key, caller, _owner: caller,
    "owner": lambda _key, _caller, owner: owner,
    "repo": lambda key, _caller, _owner: key.repository,
    "workflow": lambda key, _caller, _owner: key.workflow,
    "endpoint": lambda key, _caller, _owner: key.endpoint,
    "agent": lambda key, _caller, _owner: key.user_agent,
}


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
