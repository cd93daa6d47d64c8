"""For which time the caller log was being written. Only there does silence mean that nobody called.

Pure. A process was writing the log between two of its heartbeats, if the second one came in time. A period is covered
where at least one process was writing the log, unless the log of another process that was running is missing there.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from proxy.callers.record import Heartbeat

_GRACE = timedelta(minutes=1)
_TOLERANCE = 1.5
"""A heartbeat may be late by half its interval and `_GRACE`, because the machine may be busy."""

SHORTEST_GAP = timedelta(minutes=10)
"""Shorter gaps are not listed: a restart takes that long."""


class Span(NamedTuple):
    """The time from `begin` to `end`."""

    begin: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        """The length of the span."""
        return self.end - self.begin


class Coverage(NamedTuple):
    """The covered parts of a period, in order and without overlaps."""

    period: Span
    covered: tuple[Span, ...]

    @property
    def share(self) -> float:
        """The covered share of the period, from 0 to 1."""
        whole = self.period.length
        return self.covered_seconds(self.period) / whole.total_seconds() if whole else 0.0

    @property
    def gaps(self) -> list[Span]:
        """The parts that are not covered, except the shortest."""
        ends = [self.period.begin, *(span.end for span in self.covered)]
        begins = [*(span.begin for span in self.covered), self.period.end]
        gaps = (Span(begin, end) for begin, end in zip(ends, begins, strict=True))
        return [gap for gap in gaps if gap.length >= SHORTEST_GAP]

    def covered_seconds(self, span: Span) -> float:
        """How many seconds of a span are covered."""
        return sum(part.length.total_seconds() for part in _clip(self.covered, span))


_LONGEST_INTERVAL = timedelta(days=366).total_seconds()


def is_valid(beat: Heartbeat) -> bool:
    """Whether a heartbeat has an interval that the configuration allows."""
    return 0 <= beat.interval <= _LONGEST_INTERVAL


def key_ids(heartbeats: Iterable[Heartbeat], before: datetime | None = None) -> set[str]:
    """The ids of the fingerprint keys (`key_id`) with which a log was written, as far as its heartbeats say so.

    Args:
        heartbeats: the heartbeats in the log.
        before: look only at those from before this time; None for all.
    """
    return {beat.key for beat in heartbeats if beat.key is not None and (before is None or beat.ts < before)}


def measure_coverage(heartbeats: Iterable[Heartbeat], period: Span) -> Coverage:
    """The parts of a period that the heartbeats cover."""
    by_instance: dict[str, list[Heartbeat]] = defaultdict(list)
    for heartbeat in heartbeats:
        by_instance[heartbeat.instance].append(heartbeat)
    covered: list[Span] = []
    missing: list[Span] = []
    for beats in by_instance.values():
        beats.sort(key=lambda beat: beat.ts)
        for beat, later in pairwise(beats):
            if later.at != "start":
                (covered if later.ts <= _deadline(beat) else missing).append(Span(beat.ts, later.ts))
        last = beats[-1]
        if last.at != "stop" and _deadline(last) >= period.end:  # the process may still be running
            covered.append(Span(last.ts, period.end))
    return Coverage(period, tuple(_clip(_subtract(_merge(covered), _merge(missing)), period)))


def _deadline(beat: Heartbeat) -> datetime:
    """The latest time for the next heartbeat."""
    return beat.ts + timedelta(seconds=beat.interval * _TOLERANCE) + _GRACE


def _merge(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for span in sorted(spans):
        if merged and span.begin <= merged[-1].end:
            merged[-1] = Span(merged[-1].begin, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return merged


def _subtract(spans: Iterable[Span], holes: Sequence[Span]) -> list[Span]:
    """The parts of spans that are in no hole; both are in order and without overlaps."""
    parts: list[Span] = []
    first = 0
    for begin, end in spans:
        while first < len(holes) and holes[first].end <= begin:
            first += 1
        index = first
        while index < len(holes) and holes[index].begin < end:
            parts.append(Span(begin, holes[index].begin))
            begin = holes[index].end  # noqa: PLW2901 - what is left of the span
            index += 1
        parts.append(Span(begin, end))
    return [part for part in parts if part.begin < part.end]


def _clip(spans: Iterable[Span], whole: Span) -> list[Span]:
    clipped = (Span(max(span.begin, whole.begin), min(span.end, whole.end)) for span in spans)
    return [span for span in clipped if span.begin < span.end]
