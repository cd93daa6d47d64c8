"""For which time the caller log was being kept: silence counts as silence only there.

Pure. Between two heartbeats of one process that are no further apart than it had said, the log was being kept. A period
in which at least one process kept it is covered, but for the time for which the log of one that lived on is missing.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from proxy.callers.record import Heartbeat

_GRACE = timedelta(minutes=1)
_TOLERANCE = 1.5
"""How often its interval a heartbeat may let wait for it: a machine may be busy."""

SHORTEST_GAP = timedelta(minutes=10)
"""Less is the time of a restart, and not named."""


class Span(NamedTuple):
    """From a time to a later one."""

    begin: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return self.end - self.begin


class Coverage(NamedTuple):
    """What of a period is covered, as spans in their order that do not touch."""

    period: Span
    covered: tuple[Span, ...]

    @property
    def share(self) -> float:
        """Which part of the period, from 0 to 1."""
        whole = self.period.length
        return self.covered_seconds(self.period) / whole.total_seconds() if whole else 0.0

    @property
    def gaps(self) -> list[Span]:
        """What is not covered, but for the shortest."""
        ends = [self.period.begin, *(span.end for span in self.covered)]
        begins = [*(span.begin for span in self.covered), self.period.end]
        gaps = (Span(begin, end) for begin, end in zip(ends, begins, strict=True))
        return [gap for gap in gaps if gap.length >= SHORTEST_GAP]

    def covered_seconds(self, span: Span) -> float:
        """Seconds of a span that are covered."""
        return sum(part.length.total_seconds() for part in _clip(span, self.covered))


def measure_coverage(heartbeats: Iterable[Heartbeat], period: Span) -> Coverage:
    """What the heartbeats cover of a period."""
    by_instance: dict[str, list[Heartbeat]] = defaultdict(list)
    for heartbeat in heartbeats:
        by_instance[heartbeat.instance].append(heartbeat)
    kept: list[Span] = []
    missing: list[Span] = []
    for beats_of_one in by_instance.values():
        beats_of_one.sort(key=lambda heartbeat: heartbeat.ts)
        for heartbeat, later in pairwise(beats_of_one):
            if later.at != "start":
                (kept if later.ts <= _deadline(heartbeat) else missing).append(Span(heartbeat.ts, later.ts))
        last = beats_of_one[-1]
        if last.at != "stop" and _deadline(last) >= period.end:  # and so it may still live
            kept.append(Span(last.ts, period.end))
    return Coverage(period, tuple(_clip(period, sorted(_subtract(_merge(missing), _merge(kept))))))


def _deadline(heartbeat: Heartbeat) -> datetime:
    """Until when the next one must have come."""
    return heartbeat.ts + timedelta(seconds=heartbeat.interval * _TOLERANCE) + _GRACE


def _merge(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for span in sorted(spans):
        if merged and span.begin <= merged[-1].end:
            merged[-1] = Span(merged[-1].begin, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return merged


def _subtract(holes: Iterable[Span], spans: list[Span]) -> list[Span]:
    for hole in holes:
        before = [Span(span.begin, min(span.end, hole.begin)) for span in spans]
        after = [Span(max(span.begin, hole.end), span.end) for span in spans]
        spans = [side for side in before + after if side.begin < side.end]
    return spans


def _clip(whole: Span, spans: Iterable[Span]) -> list[Span]:
    cut = (Span(max(span.begin, whole.begin), min(span.end, whole.end)) for span in spans)
    return [span for span in cut if span.begin < span.end]
