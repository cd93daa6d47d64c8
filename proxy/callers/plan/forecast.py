"""What the policy will do, and to whom.

Pure: what time it is, is an argument.
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
from proxy.withdrawn.lifecycle import Change, Kind, Party, Phase, Policy, Reason

CHANGES = 5
"""How many changes are told."""

_TICK = timedelta(microseconds=1)


class CallerStatus(NamedTuple):
    """Somebody whom the policy is about.

    Attributes:
        state: None where the log does not know it.
        last_seen: the same.
    """

    party: Party
    state: State | None = None
    last_seen: datetime | None = None


class UpcomingChange(NamedTuple):
    """A change, and whom it hits."""

    change: Change
    affected: tuple[CallerStatus, ...]


class CurrentPhase(NamedTuple):
    """How far the withdrawal has come.

    Attributes:
        since: when the phase began; None where no date says so.
        open: the brownouts that are under way, and whom they hit.
    """

    phase: Phase
    since: datetime | None
    brownouts: tuple[UpcomingChange, ...]


def caller_statuses(
    analysis: Analysis | None, rules: Iterable[Rule], policy: Policy, now: datetime
) -> list[CallerStatus]:
    """The callers of the log, as the report has them, then those that are known and have never called.

    Args:
        analysis: the log; None where there is none.
        rules: of the known.
        policy: says from when on one that has no record is new.
        now: the time.
    """
    parties = analysis.subjects if analysis is not None else {}
    callers = analysis.report.callers if analysis is not None else []
    found = [CallerStatus(parties[row.name], row.state, row.last_seen) for row in callers]
    # As the proxy does it: nobody is new where the log has nothing from before the freeze.
    is_unknown = analysis is None or (policy.freeze is not None and now >= policy.freeze and not analysis.covers_freeze)
    known = {rule.name: rule for rule in reversed(list(rules)) if rule.name not in parties}
    silent = [identity.policy_subject(name, rule, has_record=is_unknown) for name, rule in reversed(known.items())]
    return found + [CallerStatus(party) for party in silent]


def current_phase(policy: Policy, callers: Sequence[CallerStatus], now: datetime) -> CurrentPhase:
    """How far the withdrawal has come at a time."""
    phase = lifecycle.standing(policy._replace(brownouts=()), Party(""), now).phase
    dates: dict[Phase, datetime | None] = {"deprecated": policy.deprecated, "sunset": policy.sunset}
    windows = [(brownout, window) for brownout in policy.brownouts if (window := brownout.windows.at(now)) is not None]
    changes = [Change(window.begin, "brownout", window.end, brownout) for brownout, window in windows]
    hit = [
        with_affected(policy, callers, change, now) for change in changes if not is_over(policy, change, callers, now)
    ]
    return CurrentPhase(phase, dates.get(phase), tuple(hit))


def forecast(
    policy: Policy, callers: Sequence[CallerStatus], now: datetime, most: int = CHANGES
) -> list[UpcomingChange]:
    """The next changes, those for single callers among them, the next one first."""
    common = [
        with_affected(policy, callers, change, change.at)
        for change in lifecycle.changes(policy, now, most)
        if not is_over(policy, change, callers, change.at)
    ]
    return sorted([*common, *_individual_changes(policy, callers, now)], key=lambda coming: coming.change.at)[:most]


def is_over(policy: Policy, change: Change, callers: Iterable[CallerStatus], at: datetime) -> bool:
    """Whether a brownout, at a time, comes after the end for everybody whom it could hit."""
    return change.brownout is not None and (end := last_end(policy, change.brownout, callers)) is not None and at >= end


def last_end(policy: Policy, brownout: Brownout, callers: Iterable[CallerStatus]) -> datetime | None:
    """When the last of those whom a brownout could hit are refused for good; None where no date says so."""
    if policy.sunset is None:
        return None
    parties = [caller.party for caller in callers if brownout.hits(caller.party.name, caller.party.owner)]
    ends = [lifecycle.sunset_of(policy, party) for party in parties]
    return max([policy.sunset, *(end for end in ends if end is not None)])


def _individual_changes(policy: Policy, callers: Sequence[CallerStatus], now: datetime) -> list[UpcomingChange]:
    """What changes for single callers; for several at a time it is one change."""
    dated: dict[tuple[datetime, Kind], list[CallerStatus]] = {}
    for caller in callers:
        party = caller.party
        end = lifecycle.sunset_of(policy, party)
        dates: list[tuple[datetime | None, Kind]] = [(party.migrated, "migrated")]
        dates += [(end, "extension")] if end != policy.sunset else []
        for at, kind in dates:
            if at is not None and at > now and _affects(policy, party, Change(at, kind), at):
                dated.setdefault((at, kind), []).append(caller)
    return [UpcomingChange(Change(at, kind), tuple(hit)) for (at, kind), hit in dated.items()]


def with_affected(policy: Policy, callers: Iterable[CallerStatus], change: Change, at: datetime) -> UpcomingChange:
    """A change with those whom it hits, as they stand at a time."""
    return UpcomingChange(change, tuple(caller for caller in callers if _affects(policy, caller.party, change, at)))


_REASONS: dict[Kind, Reason] = {"freeze": "frozen", "sunset": "sunset", "migrated": "migrated", "extension": "sunset"}


def _affects(policy: Policy, party: Party, change: Change, at: datetime) -> bool:
    """Whether a change makes a difference to a caller: who is refused for good already has none to expect."""
    if change.brownout is not None and not change.brownout.hits(party.name, party.owner):
        return False
    if _refusal_reason(policy, party, at - _TICK) is not None:
        return False
    return _refusal_reason(policy, party, at) == _REASONS.get(change.kind)


def _refusal_reason(policy: Policy, party: Party, at: datetime) -> Reason | None:
    """Why a caller is refused for good at a time, if it is."""
    refusal = lifecycle.standing(policy._replace(brownouts=()), party, at).refusal
    return refusal.reason if refusal is not None else None
