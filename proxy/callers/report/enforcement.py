"""Whether the log shows that callers are refused: what a configuration says may not be in force everywhere.

Pure: the time is an argument.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from proxy.callers.record import Heartbeat
from proxy.callers.report.coverage import deadline
from proxy.callers.report.policy_effect import PolicyEffect
from proxy.callers.report.tally import Tally

FORGOTTEN = timedelta(days=45)
"""After this time without a call that was let through, its instance is no longer taken to serve."""


class Enforcement(NamedTuple):
    """What the log shows of the policy.

    Attributes:
        since: from then on, heartbeats of every instance show that it has this policy; None if they do not.
        is_contradicted: whether an instance that serves has another policy.
        slipped: time of the last call that was let through although its caller should have been refused.
    """

    since: datetime | None = None
    is_contradicted: bool = False
    slipped: datetime | None = None

    def shows_refusal(self, tally: Tally, effect: PolicyEffect) -> bool:
        """Whether a caller that the policy refuses permanently has really been refused, and by every instance."""
        if effect.permanent_refusal is None or effect.refused_from is None or self.is_contradicted:
            return False
        if self.since is not None:
            begin = max(self.since, effect.refused_from)
            return tally.last_accepted is None or tally.last_accepted < begin
        if self.slipped is not None or tally.last_refused is None:
            return False
        last = let_through(tally, effect)
        return tally.last_refused >= effect.refused_from and (last is None or tally.last_refused > last)


NOT_SHOWN = Enforcement()


def let_through(tally: Tally, effect: PolicyEffect) -> datetime | None:
    """When a caller was last let through although the policy refused it permanently by then; None if never."""
    last = tally.last_accepted
    if effect.permanent_refusal is None or effect.refused_from is None or last is None or last < effect.refused_from:
        return None
    return last


def enforcement(
    heartbeats: Iterable[Heartbeat],
    tallies: Iterable[Tally],
    effects: Mapping[str, PolicyEffect],
    digest: str | None,
    now: datetime,
) -> Enforcement:
    """What the log shows of a policy.

    Args:
        heartbeats: all heartbeats in the log.
        tallies: the tallies of all callers.
        effects: what the policy means for each caller, by name.
        digest: the policy (`policy_digest`).
        now: the time of the report.
    """
    slips = [last for tally in tallies if (last := let_through(tally, effects[tally.caller])) is not None]
    recent = [last for last in slips if now - last < FORGOTTEN]
    instances: dict[str, list[Heartbeat]] = defaultdict(list)
    for beat in heartbeats:
        instances[beat.instance].append(beat)
    lasts = [max(beats, key=lambda beat: beat.ts) for beats in instances.values()]
    serving = {beat.policy for beat in lasts if beat.at != "stop" and deadline(beat) >= now}
    is_contradicted = not serving <= {digest, None}
    since = max(_changed(beats, digest) for beats in instances.values()) if serving == {digest} != {None} else None
    return Enforcement(since, is_contradicted, max(recent, default=None))


def _changed(beats: list[Heartbeat], digest: str | None) -> datetime:
    """Since when an instance has had this policy, or was gone."""
    beats.sort(key=lambda beat: beat.ts, reverse=True)
    last = beats[0]
    if last.policy != digest:
        return last.ts if last.at == "stop" else deadline(last)
    since = last.ts
    for beat in beats:
        if beat.policy != digest:
            break
        since = beat.ts
    return since
