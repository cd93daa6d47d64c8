"""What the policy will do, and to which callers.

Pure: the time is an argument.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from proxy.callers import identity
from proxy.callers.identity import Rule
from proxy.callers.report.analysis import Analysis
from proxy.callers.report.rhythm import State
from proxy.withdrawn import lifecycle
from proxy.withdrawn.brownouts import Brownout
from proxy.withdrawn.lifecycle import Change, Kind, Phase, Policy, PolicySubject, Reason

CHANGES = 5
"""How many changes are shown."""

_TICK = timedelta(microseconds=1)


class CallerStatus(NamedTuple):
    """A caller that the policy can affect.

    Attributes:
        state: None if it is not in the log.
        last_seen: None if it is not in the log.
    """

    party: PolicySubject
    state: State | None = None
    last_seen: datetime | None = None


class UpcomingChange(NamedTuple):
    """A change, and the callers that it affects."""

    change: Change
    affected: tuple[CallerStatus, ...]


class CurrentPhase(NamedTuple):
    """The phase of the withdrawal at a time.

    Attributes:
        since: when the phase began; None if no date says so.
        brownouts: the brownouts in progress.
    """

    phase: Phase
    since: datetime | None
    brownouts: tuple[UpcomingChange, ...]


def caller_statuses(
    analysis: Analysis | None, rules: Iterable[Rule], policy: Policy, now: datetime
) -> list[CallerStatus]:
    """The callers in the log, in the order of the report, then the known callers that have never called.

    Args:
        analysis: what the log says; None if there is no log.
        rules: the rules for known callers.
        policy: its freeze decides who is new.
        now: the time.
    """
    subjects = analysis.subjects if analysis is not None else {}
    rows = analysis.report.all_callers if analysis is not None else []
    known: dict[str, Rule] = {}
    for rule in rules:
        if rule.name not in subjects:
            known.setdefault(rule.name, rule)
    # As in the proxy, nobody is new if the log does not go back to before the freeze.
    is_unknown = analysis is None or (policy.freeze is not None and now >= policy.freeze and not analysis.covers_freeze)
    silent = [identity.policy_subject(name, rule, has_record=is_unknown) for name, rule in known.items()]
    return [
        *(CallerStatus(subjects[row.name], row.state, row.last_seen) for row in rows),
        *(CallerStatus(party) for party in silent),
    ]


def current_phase(policy: Policy, callers: Sequence[CallerStatus], now: datetime) -> CurrentPhase:
    """The phase at a time, without the individual dates of callers."""
    phase = lifecycle.decide(policy._replace(brownouts=()), PolicySubject(""), now).phase
    dates: dict[Phase, datetime | None] = {"deprecated": policy.deprecated, "sunset": policy.sunset}
    windows = [(brownout, window) for brownout in policy.brownouts if (window := brownout.windows.at(now)) is not None]
    changes = [Change(window.begin, "brownout", window.end, brownout) for brownout, window in windows]
    current = [change for change in changes if not _is_over(policy, change, callers, now)]
    return CurrentPhase(
        phase, dates.get(phase), tuple(with_affected(policy, callers, change, now) for change in current)
    )


def forecast(
    policy: Policy, callers: Sequence[CallerStatus], now: datetime, most: int = CHANGES
) -> list[UpcomingChange]:
    """The next changes in order of time, including those for individual callers."""
    common = [
        with_affected(policy, callers, change, change.at)
        for change in lifecycle.planned_changes(policy, now, most)
        if not _is_over(policy, change, callers, change.at)
    ]
    changes = [*common, *_individual_changes(policy, callers, now)]
    return sorted(changes, key=lambda upcoming: upcoming.change.at)[:most]


def _is_over(policy: Policy, change: Change, callers: Iterable[CallerStatus], at: datetime) -> bool:
    """Whether a change is a brownout that has no effect any more, because all its callers are past their sunset."""
    if change.brownout is None:
        return False
    end = last_end(policy, change.brownout, callers)
    return end is not None and at >= end


def last_end(policy: Policy, brownout: Brownout, callers: Iterable[CallerStatus]) -> datetime | None:
    """When the last of the callers that a brownout is for reaches its sunset; None if there is no sunset."""
    if policy.sunset is None:
        return None
    parties = [caller.party for caller in callers if brownout.affects(caller.party.name, caller.party.owner)]
    ends = [lifecycle.sunset_for(policy, party) for party in parties]
    return max([policy.sunset, *(end for end in ends if end is not None)])


def _individual_changes(policy: Policy, callers: Sequence[CallerStatus], now: datetime) -> list[UpcomingChange]:
    """Migrations and ends of extensions. Those at the same time are one change."""
    dated: dict[tuple[datetime, Kind], list[CallerStatus]] = {}
    for caller in callers:
        party = caller.party
        end = lifecycle.sunset_for(policy, party)
        dates: list[tuple[datetime | None, Kind]] = [(party.migrated, "migrated")]
        dates += [(end, "extension")] if end != policy.sunset else []
        for at, kind in dates:
            if at is not None and at > now and _affects(policy, party, Change(at, kind), at):
                dated.setdefault((at, kind), []).append(caller)
    return [UpcomingChange(Change(at, kind), tuple(affected)) for (at, kind), affected in dated.items()]


def with_affected(policy: Policy, callers: Iterable[CallerStatus], change: Change, at: datetime) -> UpcomingChange:
    """A change, with the callers that it affects at a time."""
    return UpcomingChange(change, tuple(caller for caller in callers if _affects(policy, caller.party, change, at)))


_REASONS: dict[Kind, Reason] = {"freeze": "frozen", "sunset": "sunset", "migrated": "migrated", "extension": "sunset"}


def _affects(policy: Policy, party: PolicySubject, change: Change, at: datetime) -> bool:
    """Whether a change affects a caller. Callers that were permanently refused before are not affected."""
    if change.brownout is not None and not change.brownout.affects(party.name, party.owner):
        return False
    if _permanent_refusal(policy, party, at - _TICK) is not None:
        return False
    return _permanent_refusal(policy, party, at) == _REASONS.get(change.kind)


def _permanent_refusal(policy: Policy, party: PolicySubject, at: datetime) -> Reason | None:
    """Why a caller is permanently refused at a time, if it is."""
    refusal = lifecycle.decide(policy._replace(brownouts=()), party, at).refusal
    return refusal.reason if refusal is not None else None
