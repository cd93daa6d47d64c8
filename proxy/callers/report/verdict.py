"""Decides whether the withdrawn API can be removed, and says why.

Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from proxy.callers.report.coverage import Coverage, Span
from proxy.callers.report.doubts import Doubt
from proxy.callers.report.rhythm import EVERY_STATE, UNKNOWN_RETIRED_AFTER, retired_after_every
from proxy.callers.report.rows import Row
from proxy.output.formatting import date, day, duration, minute, shortened

Verdict = Literal["safe", "not_yet", "cannot_tell"]

OBSERVATION = timedelta(days=45)
"""The log must cover this time before its silence means that nobody calls. A job of the first Monday of a month pauses
for 35 days, and its run may be late or fail."""

OBSERVED_SHARE = 0.99
"""The share of a time that the log must cover. The rest can be restarts."""


class Conclusion(NamedTuple):
    """Whether the withdrawn API can be removed.

    Attributes:
        reasons: the reasons, a sentence each.
        safe_at: when it can be removed at the earliest, if nobody calls again and the log is kept; None if it can.
    """

    verdict: Verdict
    reasons: list[str]
    safe_at: datetime | None


class Unseen(NamedTuple):
    """A caller that is expected, but not in the log.

    Attributes:
        every: the longest period of its jobs, in seconds.
        safe_at: when the log is long enough to show that it does not call.
    """

    name: str
    every: float
    safe_at: datetime


def unseen(callers: Iterable[Row], coverage: Coverage, every: Mapping[str, float]) -> list[Unseen]:
    """The expected callers that have never called, if the log is too short to show that they do not.

    Args:
        callers: the callers in the log.
        coverage: what the log covers from its begin until now.
        every: the longest period of the jobs of each expected caller in seconds, by name.
    """
    now, kept, seen = coverage.period.end, coverage.covered_seconds(coverage.period), {row.name for row in callers}
    left = {name: retired_after_every(period) - kept for name, period in every.items() if name not in seen}
    return [
        Unseen(name, every[name], now + timedelta(seconds=seconds)) for name, seconds in left.items() if seconds > 0
    ]


def conclude(
    callers: Sequence[Row],
    coverage: Coverage,
    absent: Sequence[Unseen] = (),
    doubts: Sequence[Doubt] = (),
    *,
    others: Sequence[str] = (),
) -> Conclusion:
    """Decide whether the withdrawn API can be removed.

    Args:
        callers: the callers in the log.
        coverage: what the log covers from its begin until now.
        absent: expected callers that the log is too short for.
        doubts: that somebody unknown may have called.
        others: who else has called, without a say.
    """
    # The order of rows depends on the calls that are counted, and the verdict does not.
    callers = sorted(callers, key=lambda row: (EVERY_STATE.index(row.state), -row.last_seen.timestamp(), row.name))
    blocking = [row for row in callers if row.state != "retired" and not row.is_refused]
    refused = [_refused(row) for row in callers if row.state != "retired" and row.is_refused]
    dates = [row.unblocked_at for row in blocking if row.unblocked_at is not None]
    dates += [doubt.safe_at for doubt in doubts if doubt.safe_at is not None]
    safe_at = max([coverage.covered_at(OBSERVATION, OBSERVED_SHARE), *dates, *(caller.safe_at for caller in absent)])
    unknown = [doubt.reason for doubt in doubts]
    if certain := [row for row in blocking if not row.in_doubt]:
        return Conclusion("not_yet", [_still_calls(row) for row in certain] + refused + unknown, safe_at)
    if blocking or absent or doubts or not is_covered(coverage, OBSERVATION):
        silent = [f"{shortened(row.name)} may have called in a gap of the log" for row in blocking]
        since = min([coverage.period.end - OBSERVATION, *(row.last_seen for row in blocking)])
        expected = [_expected(caller) for caller in absent]
        reasons = unknown + _missing(coverage, since) + silent + expected + refused
        return Conclusion("cannot_tell", reasons, safe_at)
    return Conclusion("safe", [_nobody(callers, coverage, refused, others), *refused], None)


def is_covered(coverage: Coverage, window: timedelta) -> bool:
    """Whether the log covers the time before the end of its period."""
    end = coverage.period.end
    return coverage.covered_seconds(Span(end - window, end)) >= OBSERVED_SHARE * window.total_seconds()


# --- the reasons


def _nobody(callers: Sequence[Row], coverage: Coverage, refused: Sequence[str], others: Sequence[str]) -> str:
    nobody = f"nobody but {' and '.join(others)} has called" if others else "nobody has called"
    everybody = f"every caller is retired{' or refused' if refused else ''}" if callers else nobody
    kept = coverage.covered_seconds(coverage.period)
    longest = timedelta(seconds=min(kept, UNKNOWN_RETIRED_AFTER)).days
    return (
        f"{everybody}; the log covers {duration(kept)}."
        f" A job that runs less often than every {longest} days would not be seen"
    )


def _still_calls(row: Row) -> str:
    failing = ", and all its calls fail" if not row.has_succeeded else ""
    job = f"; the last of its jobs is {shortened(str(row.job))}" if row.job is not None else ""
    retired = f"; retired on {day(row.retired_at)} if it never calls again" if row.retired_at is not None else ""
    return f"{_who(row)} is {row.state}: last call {minute(row.last_seen)}{failing}{_refused_from(row)}{job}{retired}"


def _refused(row: Row) -> str:
    since = f" since {date(row.effect.refused_from)}" if row.effect.refused_from is not None else ""
    return f"{_who(row)} is refused{since} ({row.effect.permanent_refusal}): last call {minute(row.last_seen)}"


def _refused_from(row: Row) -> str:
    if row.effect.refused_from is None:
        return ""
    begin = date(row.effect.refused_from)
    if row.accepted_while_refused:
        return f"; it was accepted, although this policy refuses it since {begin}"
    if row.effect.permanent_refusal is not None:
        return f"; this policy refuses it since {begin}, but the log does not show that every instance does"
    return f"; refused from {begin}"


def _who(row: Row) -> str:
    successor = f", the successor of {shortened(row.predecessor)}," if row.predecessor is not None else ""
    return shortened(row.name) + (f" of {shortened(row.owner)}" if row.owner is not None else "") + successor


def _expected(caller: Unseen) -> str:
    return f"{shortened(caller.name)} is expected every {duration(caller.every)}, and the log is too short to show it"


def _missing(coverage: Coverage, since: datetime) -> list[str]:
    """What the log lacks since a time."""
    reasons = [
        f"the log has a gap from {minute(gap.begin)} to {minute(gap.end)} ({duration(gap.length.total_seconds())})"
        for gap in coverage.gaps
        if gap.end > since
    ]
    if coverage.period.length < OBSERVATION:
        length = duration(coverage.period.length.total_seconds())
        reasons.append(f"the log goes back {length}; it takes {OBSERVATION.days} days to see a monthly job")
    return reasons
