"""Counts of calls, by caller and by what they have in common."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from proxy.callers.identity import CallAttributes, Rule
from proxy.callers.report.budget import OTHERS, Budget
from proxy.callers.report.hours import Hours
from proxy.withdrawn import endpoints

COUNTED = ("endpoints", "repositories", "workflows", "agents", "outcomes", "replacements")
"""The kinds of values that calls are counted by."""

NO_VALUE = "(none)"
"""Stands for a missing value."""

_MOST_VALUES = 1000
"""How many different values of a kind are counted; the rest are `OTHERS`."""

_UNDECIDED = {"brownout", "rejected", "overloaded"}
"""Outcomes that say nothing about permanent refusal."""


class CallKey(NamedTuple):
    """All fields of a `ReportedCall` but its time. Calls are counted by these; there are far fewer keys than calls.

    Attributes:
        client_ip: None unless a rule needs it.
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
        """``org/repo`` or ``id:…``."""
        return f"id:{self.repo_id}" if self.repo_id is not None else f"{self.org or ''}/{self.repo or ''}"

    @property
    def replacement(self) -> str | None:
        """Method and path of the successor, with braces around what differs between calls; None if not known."""
        endpoint = endpoints.BY_NAME.get(self.endpoint)
        if endpoint is None:
            return None
        segments = {"org": self.org, "repo": self.repo, "repo_id": self.repo_id}
        path = re.sub(r"\{(\w+)\}", lambda name: segments.get(name[1]) or name[0], endpoint.successor)
        return f"{endpoint.method} {path}"

    @property
    def counted(self) -> tuple[str | None, ...]:
        """The value for each of `COUNTED`."""
        agent = self.user_agent or NO_VALUE
        return self.endpoint, self.repository, self.workflow or NO_VALUE, agent, self.outcome, self.replacement

    @property
    def attributes(self) -> CallAttributes:
        """What rules match against."""
        return CallAttributes(self.token, self.user_agent, self.client_ip, self.repository, self.workflow)


@dataclass
class Tally:
    """The calls of one caller, or those of its calls that are in one group.

    Attributes:
        caller: its name by the current rules.
        source: where the name comes from, as in the record; `strangers.STRANGER` for a network of strangers.
        rule: the current rule that names it, if any.
        texts: what is left for the values below.
        errors: number of calls answered with 4xx or 5xx.
        users: owners of the tokens, each with the time of the last call.
        last_accepted, last_refused: time of the last call that was accepted, and of the last one permanently refused.
        counts: calls by value, for each of `COUNTED`.
    """

    caller: str
    source: str
    rule: Rule | None
    owner: str | None
    first_seen: datetime
    last_seen: datetime
    texts: Budget = field(repr=False, compare=False)
    hours: Hours = field(default_factory=Hours)
    calls: int = 0
    errors: int = 0
    last_accepted: datetime | None = None
    last_refused: datetime | None = None
    users: dict[str, datetime] = field(default_factory=dict)
    counts: dict[str, Counter[str]] = field(default_factory=lambda: {kind: Counter() for kind in COUNTED})

    def add(self, key: CallKey, calls: int, first: datetime, last: datetime) -> None:
        """Count calls with the same key, except their hours.

        Args:
            key: what the calls have in common.
            calls: their number.
            first: time of the first one.
            last: time of the last one.
        """
        self.owner = self.owner or key.owner
        self.first_seen, self.last_seen = min(self.first_seen, first), max(self.last_seen, last)
        if key.outcome == "gone":
            self.last_refused = _later(self.last_refused, last)
        elif key.outcome not in _UNDECIDED:
            self.last_accepted = _later(self.last_accepted, last)
        self.calls += calls
        self.errors += calls if key.status >= 400 else 0
        user = key.run_user
        if user is not None and self._has_room(self.users, user):
            self.users[user] = max(last, self.users.get(user, last))
        for kind, value in zip(COUNTED, key.counted, strict=True):
            if value is not None:
                counter = self.counts[kind]
                counter[value if self._has_room(counter, value) else OTHERS] += calls

    def _has_room(self, counted: Mapping[str, object], value: str) -> bool:
        return value in counted or (len(counted) < _MOST_VALUES and self.texts.take(len(value)))

    def merge(self, other: "Tally") -> None:
        """Add the calls of another tally."""
        self.first_seen = min(self.first_seen, other.first_seen)
        self.last_seen = max(self.last_seen, other.last_seen)
        self.calls += other.calls
        self.errors += other.errors
        self.last_accepted = _later(self.last_accepted, other.last_accepted)
        self.last_refused = _later(self.last_refused, other.last_refused)
        self.hours.merge(other.hours)
        for user, last in other.users.items():
            self.users[user] = max(last, self.users.get(user, last))
        for kind, counts in other.counts.items():
            self.counts[kind].update(counts)


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((moment for moment in (one, other) if moment is not None), default=None)
