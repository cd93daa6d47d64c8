"""What the policy means for one caller.

Pure: the time is an argument.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from proxy.callers import identity
from proxy.callers.report.budget import OTHERS
from proxy.callers.report.strangers import STRANGER
from proxy.callers.report.tally import Tally
from proxy.output.formatting import date
from proxy.withdrawn import lifecycle
from proxy.withdrawn.lifecycle import Change, Policy, PolicySubject, Reason, Refusal


class PolicyEffect(NamedTuple):
    """Whether a caller is refused now, and what changes next.

    Attributes:
        refusal: why the caller is refused now, if it is.
        refused_from: when it is refused permanently, in the past or the future; None if no date says so.
        next_change: the next change that affects the caller, if any.
    """

    refusal: Refusal | None = None
    refused_from: datetime | None = None
    next_change: Change | None = None

    @property
    def permanent_refusal(self) -> Reason | None:
        """Why the caller is refused permanently; None if it is not."""
        return self.refusal.reason if self.refusal is not None and self.refusal.until is None else None

    @property
    def summary(self) -> str:
        """The effect in a few words, with times in UTC; a dash if there is none."""
        if self.permanent_refusal is not None:
            return "refused"
        if self.refusal is not None and self.refusal.until is not None:
            return f"refused until {date(self.refusal.until)}"
        return f"{self.next_change.kind} {date(self.next_change.at)}" if self.next_change is not None else "-"


def policy_effect(policy: Policy, party: PolicySubject, now: datetime) -> PolicyEffect:
    """What the policy means for a caller."""
    refusal = lifecycle.decide(policy, party, now).refusal
    ends = [lifecycle.refused_from(policy, party), policy.freeze if party.is_new else None]
    refused_from = min((end for end in ends if end is not None), default=None)
    return PolicyEffect(refusal, refused_from, lifecycle.next_change(policy, party, now))


def policy_effects(policy: Policy, parties: Mapping[str, PolicySubject], now: datetime) -> dict[str, PolicyEffect]:
    """What the policy means for each of many callers, by name."""
    effects: dict[str, PolicyEffect] = {}
    computed: dict[Any, PolicyEffect] = {}
    for name, party in parties.items():
        # There can be very many callers, but few different effects.
        hit = tuple(brownout.affects(party.name, party.owner) for brownout in policy.brownouts)
        key = (hit, party.migrated, party.extension, party.is_new)
        effects[name] = computed[key] = computed.get(key) or policy_effect(policy, party, now)
    return effects


def refusal_dates(policy: Policy, parties: Iterable[PolicySubject]) -> dict[str, datetime]:
    """When each caller is refused permanently, by name; without callers that never are.

    If several parties have one name, the last date counts.
    """
    dates: dict[str, datetime | None] = {}
    for party in parties:
        end = lifecycle.refused_from(policy, party)
        before = dates.get(party.name, end)
        dates[party.name] = max(before, end) if before is not None and end is not None else None
    return {name: end for name, end in dates.items() if end is not None}


def combine(effects: Sequence[PolicyEffect]) -> PolicyEffect:
    """The effect on a group: its first change; refused if all of them are, for the first one's reason."""
    changes = [effect.next_change for effect in effects if effect.next_change is not None]
    refusal = effects[0].refusal if all(effect.permanent_refusal is not None for effect in effects) else None
    return PolicyEffect(refusal, next_change=min(changes, key=lambda change: change.at, default=None))


def policy_subjects(tallies: Iterable[Tally], before_freeze: frozenset[str] | None) -> Mapping[str, PolicySubject]:
    """The callers of a log as the policy sees them, by name.

    Args:
        tallies: the tallies of all callers.
        before_freeze: names of the callers from before the freeze (`Aggregator.callers_before_freeze`).
    """
    parties: dict[str, PolicySubject] = {}
    for tally in tallies:
        has_record = before_freeze is None or tally.caller in before_freeze or tally.source in {STRANGER, OTHERS}
        parties.setdefault(tally.caller, identity.policy_subject(tally.caller, tally.rule, has_record=has_record))
    return parties
