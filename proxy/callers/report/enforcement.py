"""Whether the log shows that callers are refused: what a configuration says may not be in force everywhere.

Pure: the time is an argument.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from proxy.callers.log.lives import Life, Lives
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
    lives: Lives,
    tallies: Iterable[Tally],
    effects: Mapping[str, PolicyEffect],
    digest: str | None,
    now: datetime,
) -> Enforcement:
    """What the log shows of a policy.

    Args:
        lives: the lives of all instances.
        tallies: the tallies of all callers.
        effects: what the policy means for each caller, by name.
        digest: the policy (`policy_digest`).
        now: the time of the report.
    """
    slips = [last for tally in tallies if (last := let_through(tally, effects[tally.caller])) is not None]
    recent = [last for last in slips if now - last < FORGOTTEN]
    lasts = [max(process, key=lambda life: life.last_beat) for process in lives.by_process()]
    serving = {life.first.policy for life in lasts if not life.has_stopped and life.due >= now}
    is_contradicted = not serving <= {digest, None}
    is_shown = serving == {digest} != {None}
    since = max(_changed(process, digest) for process in lives.by_process()) if is_shown else None
    return Enforcement(since, is_contradicted, max(recent, default=None))


def _changed(process: Sequence[Life], digest: str | None) -> datetime:
    """Since when an instance has had this policy, or was gone."""
    last, *earlier = sorted(process, key=lambda life: life.last_beat, reverse=True)
    if last.first.policy != digest:
        return last.last_beat if last.has_stopped else last.due
    since = last.begin
    for life in earlier:
        if life.first.policy != digest:
            break
        since = min(since, life.begin)
    return since
