"""Folds the records of calls into what a report says of them, one record after the other."""

import copy
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from msgspec.structs import astuple

from proxy.callers.identity import Rule, Traits, first_match
from proxy.callers.record import Heartbeat
from proxy.callers.report.detail import Detail
from proxy.callers.report.reader import Batch
from proxy.withdrawn import endpoints

Dimension = Literal["caller", "owner", "repo", "workflow", "endpoint", "agent"]
DIMENSIONS: tuple[Dimension, ...] = ("caller", "owner", "repo", "workflow", "endpoint", "agent")

COUNTED = ("endpoints", "repositories", "workflows", "agents", "outcomes", "replacements")
"""The kinds of values that calls are counted by."""

NOBODY = "(none)"
"""The group of calls that have no value in a dimension."""


class Shape(NamedTuple):
    """What calls have in common but for their times, as `Sighting` has it; there are few, however many calls there are.

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
        agent = self.user_agent or NOBODY
        return self.endpoint, self.repository, self.workflow or NOBODY, agent, self.outcome, self.replacement

    @property
    def traits(self) -> Traits:
        """What a rule looks at."""
        return Traits(self.token, self.user_agent, self.client_ip, self.repository, self.workflow)


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


class Fold:
    """Takes records in any order, and counts them by caller, and by a second dimension if asked to.

    Args:
        rules: those of today: where none matches, the record's own name of its caller counts.
        by: the second dimension.
        since, until: records from the one on and before the other count.
        is_wanted: whether a caller, by its name, is to be told of in detail.
        freeze: who has a record from before it is told in any case.

    Attributes:
        beats: the heartbeats.
        details: of each caller that was wanted.
        matched: the rules that name a caller of the log.
    """

    def __init__(
        self,
        rules: Sequence[Rule] = (),
        by: Dimension = "caller",
        since: datetime | None = None,
        until: datetime | None = None,
        is_wanted: Callable[[str], bool] = lambda _: False,
        *,
        freeze: datetime | None = None,
    ) -> None:
        self.beats: list[Heartbeat] = []
        self.details: dict[str, Detail] = {}
        self.matched: set[Rule] = set()
        self._rules = rules
        self._group = _GROUPS[by]
        self._is_bounded = since is not None or until is not None
        self._since = since or datetime.min.replace(tzinfo=UTC)
        self._until = until or datetime.max.replace(tzinfo=UTC)
        self._is_wanted = is_wanted
        self._freeze = freeze
        self._early: set[tuple[Any, ...]] = set()
        self._shape_ends = None if any(rule.networks for rule in rules) else -1
        self._values: dict[Any, Any] = {}
        self._counts: dict[tuple[Any, ...], _Count] = {}
        self._tallies: dict[tuple[str, str], Tally] = {}

    def take(self, batches: Iterable[Batch]) -> None:
        """Count the records of some logs."""
        since, until, shape_ends, counts = self._since, self._until, self._shape_ends, self._counts
        share, is_bounded = self._values.setdefault, self._is_bounded
        for records, lines in batches:
            # This is done a million times: what could be a function here is none.
            for record, line in zip(records, lines, strict=True):
                if isinstance(record, Heartbeat):
                    self.beats.append(record)
                    continue
                values = astuple(record)
                moment, shape = values[0], values[1:shape_ends]
                if moment.tzinfo is not UTC:
                    moment = record.ts = _in_utc(moment)
                if is_bounded and not since <= moment < until:
                    self._pass_over(shape, moment)
                    continue
                count = counts.get(shape)
                if count is None:
                    # Shapes share their strings, and so the processor's cache.
                    shape = tuple([share(value, value) for value in shape])
                    count = counts[shape] = self._begun(Shape(*shape), moment)
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
        for shape, count in self._counts.items():
            self._note(Shape(*shape), count)
        self._counts.clear()
        return self._tallies

    def had_record(self) -> frozenset[str] | None:
        """Who has a record from before the freeze; None where there is no freeze, or the log does not say."""
        freeze = self._freeze
        if freeze is None:
            return None
        early = {self._named(Shape(*shape))[0] for shape in self._early}
        early |= {tally.caller for tally in self.tallies().values() if tally.first_seen < freeze}
        return frozenset(early) if early or any(beat.ts < freeze for beat in self.beats) else None

    def _pass_over(self, shape: tuple[Any, ...], moment: datetime) -> None:
        if self._freeze is not None and moment < self._freeze:
            self._early.add(shape)

    def _named(self, shape: Shape) -> tuple[str, str | None, Rule | None]:
        rule = first_match(self._rules, shape.traits)
        if rule is None:
            return shape.caller or NOBODY, shape.owner, None
        self.matched.add(rule)
        return rule.name, rule.owner, rule

    def _begun(self, shape: Shape, moment: datetime) -> "_Count":
        caller, owner, rule = self._named(shape)
        key = (self._group(shape, caller, owner) or NOBODY, caller)
        tally = self._tallies.get(key)
        if tally is None:
            source = "known" if rule is not None else shape.caller_source
            tally = self._tallies[key] = Tally(caller, source, rule, owner, moment, moment)
        detail = self.details.setdefault(caller, Detail()) if self._is_wanted(caller) else None
        return _Count(tally, tally.hours, moment, detail)

    def _note(self, shape: Shape, count: "_Count") -> None:
        tally = count.tally
        tally.owner = tally.owner or shape.owner
        tally.first_seen, tally.last_seen = min(tally.first_seen, count.first), max(tally.last_seen, count.last)
        if shape.outcome == "gone":
            tally.refused = _later(tally.refused, count.last)
        elif shape.outcome not in _DECIDES_NOTHING:
            tally.let_through = _later(tally.let_through, count.last)
        tally.calls += count.calls
        tally.errors += count.calls if shape.status >= 400 else 0
        if shape.run_user is not None:
            tally.users[shape.run_user] = max(count.last, tally.users.get(shape.run_user, count.last))
        for kind, value in zip(COUNTED, shape.counted, strict=True):
            if value is not None:
                tally.counts[kind][value] += count.calls


_DECIDES_NOTHING = {"brownout", "rejected", "overloaded"}
"""Outcomes of calls of which it does not show whether they would have been refused for good."""


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((moment for moment in (one, other) if moment is not None), default=None)


class _Count:
    """How often a shape was seen; the hours are its tally's."""

    __slots__ = ("calls", "detail", "first", "hours", "last", "tally")

    def __init__(self, tally: Tally, hours: dict[int, int], moment: datetime, detail: Detail | None) -> None:
        self.tally, self.hours, self.detail = tally, hours, detail
        self.first = self.last = moment
        self.calls = 0


_GROUPS: dict[Dimension, Callable[[Shape, str, str | None], str | None]] = {
    "caller": lambda _shape, caller, _owner: caller,
    "owner": lambda _shape, _caller, owner: owner,
    "repo": lambda shape, _caller, _owner: shape.repository,
    "workflow": lambda shape, _caller, _owner: shape.workflow,
    "endpoint": lambda shape, _caller, _owner: shape.endpoint,
    "agent": lambda shape, _caller, _owner: shape.user_agent,
}


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
