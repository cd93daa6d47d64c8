"""Counts of calls, by caller and by what they have in common."""

import functools
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

from proxy.callers.identity import CallAttributes, Rule
from proxy.callers.report.budget import OTHERS, Budget
from proxy.callers.report.hours import Hours
from proxy.callers.report.jobs import JobName, Jobs
from proxy.callers.report.value_counts import ValueCounts
from proxy.withdrawn import endpoints

STRANGER: Literal["stranger"] = "stranger"
"""The source of a tally of strangers, and its state."""

FAILING: Literal["failing"] = "failing"
"""The state of callers of which no call ever worked."""

IGNORED: Literal["ignored"] = "ignored"
"""The state of callers that a rule says to ignore."""

NO_VALUE = "(none)"
"""Stands for a missing value."""

_MOST_USERS = 1000
"""How many different users of a caller are kept."""

_UNDECIDED = {"brownout", "rejected", "overloaded"}
"""Outcomes that say nothing about permanent refusal."""

_PASSING = {408, 409, 423, 425, 429}
"""Statuses that say "not now"."""

_UNKNOWN = {"timeout", "interrupted"}
"""Outcomes of calls that may have worked."""


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
        return _repository(self.org, self.repo, self.repo_id)

    @property
    def job(self) -> JobName:
        """The job that calls."""
        return JobName(self.endpoint, self.repository, self.workflow)

    @property
    def replacement(self) -> str | None:
        """Method and path of the successor, with braces around what differs between calls; None if not known."""
        return _replacement(self.endpoint, self.org, self.repo, self.repo_id)

    @property
    def counted(self) -> tuple[str | None, ...]:
        """The value for each of `value_counts.KINDS`."""
        agent = self.user_agent or NO_VALUE
        return self.endpoint, self.repository, self.workflow or NO_VALUE, agent, self.outcome, self.replacement

    @property
    def attributes(self) -> CallAttributes:
        """What rules match against."""
        return CallAttributes(self.token, self.user_agent, self.client_ip, self.repository, self.workflow)


# Thousands of callers call the same repositories. They share these texts, and each is made once.


@functools.lru_cache(1024)
def _repository(org: str | None, repo: str | None, repo_id: str | None) -> str:
    return f"id:{repo_id}" if repo_id is not None else f"{org or ''}/{repo or ''}"


@functools.lru_cache(1024)
def _replacement(endpoint: str, org: str | None, repo: str | None, repo_id: str | None) -> str | None:
    known = endpoints.BY_NAME.get(endpoint)
    if known is None:
        return None
    segments = {"org": org, "repo": repo, "repo_id": repo_id}
    path = re.sub(r"\{(\w+)\}", lambda name: segments.get(name[1]) or name[0], known.successor)
    return f"{known.method} {path}"


@dataclass(slots=True)
class Tally:
    """The calls of one caller, or those of its calls that are in one group.

    Calls outside the period have a say in when and how it called, but not in what is counted: `hours`, `calls`,
    `errors`, `users` and `values`.

    Attributes:
        caller: its name by the current rules.
        source: where the name comes from, as in the record; `STRANGER` for a network of strangers.
        rule: the current rule that names it, if any.
        texts: what is left for the values below.
        jobs: what it calls, and on which days.
        earlier, recent: calls in the spans of `Cuts`, in the period or not.
        errors: number of calls answered with 4xx or 5xx.
        users: owners of the tokens, each with the time of the last call.
        has_succeeded: whether any call was answered with less than 400.
        has_failed: whether any call was wrong by itself: it would have failed at any time.
        may_have_succeeded: whether it is not known of a call what the service did with it.
        failures: calls by status, if it was 4xx or 5xx.
        last_accepted, last_refused: time of the last call that was accepted, and of the last one permanently refused.
        values: calls by value.
        predecessor: the caller from before the freeze that it succeeds (`Successions`), if any.
    """

    caller: str
    source: str
    rule: Rule | None
    owner: str | None
    first_seen: datetime
    last_seen: datetime
    texts: Budget = field(repr=False, compare=False)
    jobs: Jobs
    hours: Hours = field(default_factory=Hours)
    calls: int = 0
    earlier: int = 0
    recent: int = 0
    errors: int = 0
    has_succeeded: bool = False
    has_failed: bool = False
    may_have_succeeded: bool = False
    failures: dict[int, int] = field(default_factory=dict)
    last_accepted: datetime | None = None
    last_refused: datetime | None = None
    users: dict[str, datetime] = field(default_factory=dict)
    values: ValueCounts = field(default_factory=ValueCounts)
    predecessor: str | None = None

    def add(self, key: CallKey, hours: Hours, first: datetime, last: datetime) -> None:
        """Count calls with the same key.

        Args:
            key: what the calls have in common.
            hours: when they were.
            first: time of the first one.
            last: time of the last one.
        """
        self.add_times(key, hours, first, last)
        calls = sum(number for _, number in hours.by_day())
        self.hours.merge(hours)
        self.calls += calls
        if key.status >= 400:
            self.errors += calls
        if 400 <= key.status < 600:
            self.failures[key.status] = self.failures.get(key.status, 0) + calls
        user = key.run_user
        if user is not None and self._has_room_for(user):
            self.users[user] = max(last, self.users.get(user, last))
        for kind, value in enumerate(key.counted):
            if value is not None:
                self.values.add(kind, value, calls, self.texts)

    def add_times(self, key: CallKey, hours: Hours, first: datetime, last: datetime) -> None:
        """Remember when there were calls with the same key, without counting them.

        Args:
            key: what the calls have in common.
            hours: when they were.
            first: time of the first one.
            last: time of the last one.
        """
        self.owner = self.owner or key.owner
        self.first_seen, self.last_seen = min(self.first_seen, first), max(self.last_seen, last)
        self.has_succeeded |= key.status < 400
        self.has_failed |= _is_wrong(key)
        self.may_have_succeeded |= key.outcome in _UNKNOWN or (key.outcome == "upstream_error" and key.status >= 500)
        if key.outcome == "gone":
            self.last_refused = _later(self.last_refused, last)
        elif key.outcome not in _UNDECIDED:
            self.last_accepted = _later(self.last_accepted, last)
        is_one = self.source not in {STRANGER, OTHERS}
        self.jobs.add(key.job if is_one else None, (day for day, _ in hours.by_day()), last)

    def _has_room_for(self, user: str) -> bool:
        return user in self.users or (len(self.users) < _MOST_USERS and self.texts.take(len(user)))

    def merge(self, other: "Tally") -> None:
        """Add the calls of another tally."""
        self.first_seen = min(self.first_seen, other.first_seen)
        self.last_seen = max(self.last_seen, other.last_seen)
        self.calls += other.calls
        self.earlier += other.earlier
        self.recent += other.recent
        self.errors += other.errors
        self.has_succeeded |= other.has_succeeded
        self.has_failed |= other.has_failed
        self.may_have_succeeded |= other.may_have_succeeded
        for status, calls in other.failures.items():
            self.failures[status] = self.failures.get(status, 0) + calls
        self.last_accepted = _later(self.last_accepted, other.last_accepted)
        self.last_refused = _later(self.last_refused, other.last_refused)
        self.hours.merge(other.hours)
        self.jobs.merge(other.jobs)
        for user, last in other.users.items():
            self.users[user] = max(last, self.users.get(user, last))
        self.values.merge(other.values)


def _is_wrong(key: CallKey) -> bool:
    """Whether calls would have failed at any time: the proxy or the service refused what they asked for."""
    return key.outcome in {"rejected", "upstream_error"} and 400 <= key.status < 500 and key.status not in _PASSING


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((moment for moment in (one, other) if moment is not None), default=None)
