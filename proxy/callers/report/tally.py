"""Folds the records of calls into what a report says of them, one record after the other."""

import copy
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from msgspec.structs import astuple

from proxy.callers.identity import CallAttributes, Rule, first_match
from proxy.callers.record import Heartbeat
from proxy.callers.report.detail import Detail
from proxy.callers.report.reader import Batch
from proxy.withdrawn import endpoints

Dimension = Literal["caller", "owner", "repo", "workflow", "endpoint", "agent"]
DIMENSIONS: tuple[Dimension, ...] = ("caller", "owner", "repo", "workflow", "endpoint", "agent")

COUNTED = ("endpoints", "repositories", "workflows", "agents", "outcomes", "replacements")
"""The kinds of values that calls are counted by."""

NO_VALUE = "(none)"
"""The group of calls that have no value in a dimension."""


class CallKey(NamedTuple):
    """What calls have in common but for their times: there are few, however many calls there are.

    Attributes:
        client_ip: only where a rule asks for it.
    """

    endpoint: str
    caller: str
    caller_source: str
    outcome: str
    status: int
    org: str | None
    repo: str | None
    repo_id: str | None
    workflow: str | None
    owner: str | None
    token: str | None
    user_agent: str | None
    run_user: str | None
    client_ip: str | None = None

    @property
    def repository(self) -> str:
        """``org/repo``, or ``id:…``."""
        return f"id:{self.repo_id}" if self.repo_id is not None else f"{self.org or ''}/{self.repo or ''}"

    @property
    def replacement(self) -> str | None:
        """What to call instead: method and path, in braces what differs from call to call; None if nobody knows."""
        endpoint = endpoints.BY_NAME.get(self.endpoint)
        if endpoint is None:
            return None
        segments = {"org": self.org, "repo": self.repo, "repo_id": self.repo_id}
        path = re.sub(r"\{(\w+)\}", lambda name: segments.get(name[1]) or name[0], endpoint.successor)
        return f"{endpoint.method} {path}"

    @property
    def counted(self) -> tuple[str | None, ...]:
        """A value for each of `COUNTED`."""
        agent = self.user_agent or NO_VALUE
        return self.endpoint, self.repository, self.workflow or NO_VALUE, agent, self.outcome, self.replacement

    @property
    def attributes(self) -> CallAttributes:
        """What a rule looks at."""
        return CallAttributes(self.token, self.user_agent, self.client_ip, self.repository, self.workflow)


@dataclass
class Tally:
    """The calls of one caller, or those of it in one group.

    Attributes:
        caller: its name, by the rules of today.
        source: what it has its name from, as in the record.
        rule: of today, that names it.
        hours: how many calls there were in each hour (as rhythm.py counts them).
        errors: how many calls were answered with 4xx or 5xx.
        users: whose tokens they were, and when last.
        let_through, refused: when a call was last sent on, or refused for good; None where none was.
        counts: calls by each value, for each of `COUNTED`.
    """

    caller: str
    source: str
    rule: Rule | None
    owner: str | None
    first_seen: datetime
    last_seen: datetime
    hours: dict[int, int] = field(default_factory=dict)
    calls: int = 0
    errors: int = 0
    let_through: datetime | None = None
    refused: datetime | None = None
    users: dict[str, datetime] = field(default_factory=dict)
    counts: dict[str, Counter[str]] = field(default_factory=lambda: {kind: Counter() for kind in COUNTED})

    def copy(self) -> "Tally":
        """One that can be merged into without changing this one."""
        return copy.deepcopy(self)

    def merge(self, other: "Tally") -> None:
        """Add the calls of another one, of the same caller or not."""
        self.first_seen = min(self.first_seen, other.first_seen)
        self.last_seen = max(self.last_seen, other.last_seen)
        self.calls += other.calls
        self.errors += other.errors
        self.let_through = _later(self.let_through, other.let_through)
        self.refused = _later(self.refused, other.refused)
        for hour, calls in other.hours.items():
            self.hours[hour] = self.hours.get(hour, 0) + calls
        for user, last in other.users.items():
            self.users[user] = max(last, self.users.get(user, last))
        for kind, counts in other.counts.items():
            self.counts[kind].update(counts)


class Aggregator:
    """Takes records in any order, and counts them by caller, and by a second dimension if asked to.

    Args:
        rules: those of today: where none matches, the record's own name of its caller counts.
        by: the second dimension.
        since, until: records from the one on and before the other count.
        wants_detail: whether a caller, by its name, is to be told of in detail.
        freeze: who has a record from before it is told in any case.

    Attributes:
        heartbeats: the heartbeats.
        details: of each caller that was wanted.
        matched_rules: the rules that name a caller of the log.
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
        self._is_wanted = wants_detail
        self._freeze = freeze
        self._before_freeze: set[tuple[Any, ...]] = set()
        self._key_end = None if any(rule.networks for rule in rules) else -1
        self._values: dict[Any, Any] = {}
        self._counts: dict[tuple[Any, ...], _Count] = {}
        self._tallies: dict[tuple[str, str], Tally] = {}

    def add(self, batches: Iterable[Batch]) -> None:
        """Count the records of some logs."""
        since, until, key_end, counts = self._since, self._until, self._key_end, self._counts
        share, is_bounded = self._values.setdefault, self._is_bounded
        for records, lines in batches:
            # This is done a million times: what could be a function here is none.
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
                    # Keys share their strings, and so the processor's cache.
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
        """What was counted of each caller in each group, by the names of the two."""
        for key, count in self._counts.items():
            self._add_to_tally(CallKey(*key), count)
        self._counts.clear()
        return self._tallies

    def callers_before_freeze(self) -> frozenset[str] | None:
        """Who has a record from before the freeze; None where there is no freeze, or the log does not say."""
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
        detail = self.details.setdefault(caller, Detail()) if self._is_wanted(caller) else None
        return _Count(tally, tally.hours, moment, detail)

    def _add_to_tally(self, key: CallKey, count: "_Count") -> None:
        tally = count.tally
        tally.owner = tally.owner or key.owner
        tally.first_seen, tally.last_seen = min(tally.first_seen, count.first), max(tally.last_seen, count.last)
        if key.outcome == "gone":
            tally.refused = _later(tally.refused, count.last)
        elif key.outcome not in _UNDECIDED:
            tally.let_through = _later(tally.let_through, count.last)
        tally.calls += count.calls
        tally.errors += count.calls if key.status >= 400 else 0
        if key.run_user is not None:
            tally.users[key.run_user] = max(count.last, tally.users.get(key.run_user, count.last))
        for kind, value in zip(COUNTED, key.counted, strict=True):
            if value is not None:
                tally.counts[kind][value] += count.calls


_UNDECIDED = {"brownout", "rejected", "overloaded"}
"""Outcomes of calls of which it does not show whether they would have been refused for good."""


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((moment for moment in (one, other) if moment is not None), default=None)


class _Count:
    """How often a key was seen; the hours are its tally's."""

    __slots__ = ("calls", "detail", "first", "hours", "last", "tally")

    def __init__(self, tally: Tally, hours: dict[int, int], moment: datetime, detail: Detail | None) -> None:
        self.tally, self.hours, self.detail = tally, hours, detail
        self.first = self.last = moment
        self.calls = 0


_GROUPS: dict[Dimension, Callable[[CallKey, str, str | None], str | None]] = {
    "caller": lambda _shape, caller, _owner: caller,
    "owner": lambda _shape, _caller, owner: owner,
    "repo": lambda key, _caller, _owner: key.repository,
    "workflow": lambda key, _caller, _owner: key.workflow,
    "endpoint": lambda key, _caller, _owner: key.endpoint,
    "agent": lambda key, _caller, _owner: key.user_agent,
}


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
