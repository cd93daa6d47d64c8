"""What is to come for a caller.

Pure: what time it is, is an argument.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from proxy.callers import identity
from proxy.callers.report.tally import Tally
from proxy.output.formatting import date
from proxy.withdrawn import lifecycle
from proxy.withdrawn.lifecycle import Change, Policy, PolicySubject, Reason, Refusal

NOTHING_PLANNED = Policy()


class Outlook(NamedTuple):
    """How a caller stands, and what comes next for it.

    Attributes:
        refusal: why it may not call now, if so.
        since: from when on it is refused for good, or will be; None where nothing says so.
        next: what changes next for it.
    """

    refusal: Refusal | None = None
    since: datetime | None = None
    next: Change | None = None

    @property
    def refused(self) -> Reason | None:
        """Why it is refused for good; None where it is not."""
        return self.refusal.reason if self.refusal is not None and self.refusal.until is None else None

    @property
    def text(self) -> str:
        """The same in a few words, times in UTC; a dash where nothing comes."""
        if self.refused is not None:
            return "refused"
        if self.refusal is not None and self.refusal.until is not None:
            return f"refused until {date(self.refusal.until)}"
        return f"{self.next.kind} {date(self.next.at)}" if self.next is not None else "-"


def outlook(policy: Policy, party: PolicySubject, now: datetime) -> Outlook:
    """What is to come for a caller."""
    refusal = lifecycle.decide(policy, party, now).refusal
    ends = [lifecycle.refused_from(policy, party), policy.freeze if party.is_new else None]
    since = min((end for end in ends if end is not None), default=None)
    return Outlook(refusal, since, lifecycle.next_change(policy, party, now))


def outlooks(policy: Policy, parties: Mapping[str, PolicySubject], now: datetime) -> dict[str, Outlook]:
    """What is to come for each of many callers, by their names."""
    found: dict[str, Outlook] = {}
    made: dict[Any, Outlook] = {}
    for name, party in parties.items():
        # There may be very many, whom the same brownouts hit: they have the same before them.
        hit = tuple(brownout.affects(party.name, party.owner) for brownout in policy.brownouts)
        alike = (hit, party.migrated, party.extension, party.is_new)
        found[name] = made[alike] = made.get(alike) or outlook(policy, party, now)
    return found


def ends_by_name(policy: Policy, parties: Iterable[PolicySubject]) -> dict[str, datetime]:
    """From when on each name is refused for good, where there is such a date; of several parties, the last to be."""
    found: dict[str, datetime | None] = {}
    for party in parties:
        end = lifecycle.refused_from(policy, party)
        before = found.get(party.name, end)
        found[party.name] = max(before, end) if before is not None and end is not None else None
    return {name: end for name, end in found.items() if end is not None}


def together(outlooks: Sequence[Outlook]) -> Outlook:
    """That of several callers: what comes first, and refused where all of them are, the first one's reason."""
    coming = [outlook.next for outlook in outlooks if outlook.next is not None]
    refusal = outlooks[0].refusal if all(outlook.refused is not None for outlook in outlooks) else None
    return Outlook(refusal, next=min(coming, key=lambda change: change.at, default=None))


def parties(tallies: Iterable[Tally], had_record: frozenset[str] | None) -> Mapping[str, PolicySubject]:
    """The callers of a log as the policy sees them, by their names.

    Args:
        tallies: all of them.
        had_record: who has a record from before the freeze (`Fold.had_record`).
    """
    found: dict[str, PolicySubject] = {}
    for tally in tallies:
        has_record = had_record is None or tally.caller in had_record
        found.setdefault(tally.caller, identity.party(tally.caller, tally.rule, has_record=has_record))
    return found
