"""What the policy will do, and to whom.

Pure: what time it is, is an argument.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from proxy.callers import identity
from proxy.callers.identity import Rule
from proxy.callers.report.rhythm import State
from proxy.callers.report.survey import Survey
from proxy.withdrawn import lifecycle
from proxy.withdrawn.brownouts import Brownout
from proxy.withdrawn.lifecycle import Change, Kind, Phase, Policy, PolicySubject, Reason

CHANGES = 5
"""How many changes are told."""

_TICK = timedelta(microseconds=1)


class Subject(NamedTuple):
    """Somebody whom the policy is about.

    Attributes:
        state: None where the log does not know it.
        last_seen: the same.
    """

    party: PolicySubject
    state: State | None = None
    last_seen: datetime | None = None


class Coming(NamedTuple):
    """A change, and whom it hits."""

    change: Change
    hits: tuple[Subject, ...]


class Present(NamedTuple):
    """How far the withdrawal has come.

    Attributes:
        since: when the phase began; None where no date says so.
        open: the brownouts that are under way, and whom they hit.
    """

    phase: Phase
    since: datetime | None
    open: tuple[Coming, ...]


def subjects(surveyed: Survey | None, rules: Iterable[Rule], policy: Policy, now: datetime) -> list[Subject]:
    """The callers of the log, as the report has them, then those that are known and have never called.

    Args:
        surveyed: the log; None where there is none.
        rules: of the known.
        policy: says from when on one that has no record is new.
        now: the time.
    """
    parties = surveyed.parties if surveyed is not None else {}
    callers = surveyed.report.callers if surveyed is not None else []
    found = [Subject(parties[row.name], row.state, row.last_seen) for row in callers]
    # As the proxy does it: nobody is new where the log has nothing from before the freeze.
    is_unknown = surveyed is None or (policy.freeze is not None and now >= policy.freeze and not surveyed.is_telling)
    known = {rule.name: rule for rule in reversed(list(rules)) if rule.name not in parties}
    silent = [identity.party(name, rule, has_record=is_unknown) for name, rule in reversed(known.items())]
    return found + [Subject(party) for party in silent]


def present(policy: Policy, subjects: Sequence[Subject], now: datetime) -> Present:
    """How far the withdrawal has come at a time."""
    phase = lifecycle.decide(policy._replace(brownouts=()), PolicySubject(""), now).phase
    dates: dict[Phase, datetime | None] = {"deprecated": policy.deprecated, "sunset": policy.sunset}
    windows = [(brownout, window) for brownout in policy.brownouts if (window := brownout.windows.at(now)) is not None]
    changes = [Change(window.begin, "brownout", window.end, brownout) for brownout, window in windows]
    hit = [with_hits(policy, subjects, change, now) for change in changes if not is_over(policy, change, subjects, now)]
    return Present(phase, dates.get(phase), tuple(hit))


def forecast(policy: Policy, subjects: Sequence[Subject], now: datetime, most: int = CHANGES) -> list[Coming]:
    """The next changes, those for single callers among them, the next one first."""
    common = [
        with_hits(policy, subjects, change, change.at)
        for change in lifecycle.planned_changes(policy, now, most)
        if not is_over(policy, change, subjects, change.at)
    ]
    return sorted([*common, *_own(policy, subjects, now)], key=lambda coming: coming.change.at)[:most]


def is_over(policy: Policy, change: Change, subjects: Iterable[Subject], at: datetime) -> bool:
    """Whether a brownout, at a time, comes after the end for everybody whom it could hit."""
    return change.brownout is not None and (end := end_for(policy, change.brownout, subjects)) is not None and at >= end


def end_for(policy: Policy, brownout: Brownout, subjects: Iterable[Subject]) -> datetime | None:
    """When the last of those whom a brownout could hit are refused for good; None where no date says so."""
    if policy.sunset is None:
        return None
    parties = [subject.party for subject in subjects if brownout.affects(subject.party.name, subject.party.owner)]
    ends = [lifecycle.sunset_for(policy, party) for party in parties]
    return max([policy.sunset, *(end for end in ends if end is not None)])


def _own(policy: Policy, subjects: Sequence[Subject], now: datetime) -> list[Coming]:
    """What changes for single callers; for several at a time it is one change."""
    dated: dict[tuple[datetime, Kind], list[Subject]] = {}
    for subject in subjects:
        party = subject.party
        end = lifecycle.sunset_for(policy, party)
        dates: list[tuple[datetime | None, Kind]] = [(party.migrated, "migrated")]
        dates += [(end, "extension")] if end != policy.sunset else []
        for at, kind in dates:
            if at is not None and at > now and _is_hit(policy, party, Change(at, kind), at):
                dated.setdefault((at, kind), []).append(subject)
    return [Coming(Change(at, kind), tuple(hit)) for (at, kind), hit in dated.items()]


def with_hits(policy: Policy, subjects: Iterable[Subject], change: Change, at: datetime) -> Coming:
    """A change with those whom it hits, as they stand at a time."""
    return Coming(change, tuple(subject for subject in subjects if _is_hit(policy, subject.party, change, at)))


_REASONS: dict[Kind, Reason] = {"freeze": "frozen", "sunset": "sunset", "migrated": "migrated", "extension": "sunset"}


def _is_hit(policy: Policy, party: PolicySubject, change: Change, at: datetime) -> bool:
    """Whether a change makes a difference to a caller: who is refused for good already has none to expect."""
    if change.brownout is not None and not change.brownout.affects(party.name, party.owner):
        return False
    if _refused(policy, party, at - _TICK) is not None:
        return False
    return _refused(policy, party, at) == _REASONS.get(change.kind)


def _refused(policy: Policy, party: PolicySubject, at: datetime) -> Reason | None:
    """Why a caller is refused for good at a time, if it is."""
    refusal = lifecycle.decide(policy._replace(brownouts=()), party, at).refusal
    return refusal.reason if refusal is not None else None
