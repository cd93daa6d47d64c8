"""For which time the caller log was being written. Only there does silence mean that nobody called.

Pure. A process was writing the log between two of its heartbeats, if the second one came in time and says that no
record was lost, and until its last record. A period is covered where at least one process was writing the log, unless
the log of another process that was running is missing there.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import accumulate, pairwise
from typing import NamedTuple

from proxy.callers.log.lives import Life, Lives, patience

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
        return [gap for gap in self._holes() if gap.length >= SHORTEST_GAP]

    def covered_seconds(self, span: Span) -> float:
        """How many seconds of a span are covered."""
        return sum(part.length.total_seconds() for part in _clip(self.covered, span))

    def silence_since(self) -> Callable[[datetime], float]:
        """A function that tells how many seconds are covered from a time until the end of the period."""
        begins = [span.begin for span in self.covered]
        lengths = [span.length.total_seconds() for span in self.covered]
        following = [*accumulate(reversed(lengths), initial=0.0)][::-1]  # covered from each span on

        def silence(moment: datetime) -> float:
            index = bisect_right(begins, moment)
            rest = self.covered[index - 1].end - moment if index else timedelta()
            return following[index] + max(rest.total_seconds(), 0.0)

        return silence

    def covered_at(self, window: timedelta, share: float) -> datetime:
        """When a share of the window before that time is covered at the earliest, if all is covered from now on."""
        allowed = (1 - share) * window
        for begin, end in reversed(self._holes()):
            if end - begin > allowed:
                return max(end - allowed + window, self.period.end)
            allowed -= end - begin
        return max(self.period.begin - allowed + window, self.period.end)

    def _holes(self) -> list[Span]:
        ends = [self.period.begin, *(span.end for span in self.covered)]
        begins = [*(span.begin for span in self.covered), self.period.end]
        return [Span(begin, end) for begin, end in zip(ends, begins, strict=True)]


def measure_coverage(lives: Lives, period: Span) -> Coverage:
    """The parts of a period that the lives of processes cover."""
    covered: list[Span] = []
    missing: list[Span] = []
    for process in lives.by_process():
        latest = process[0]
        covered.append(Span(latest.begin, latest.seen))
        for previous, life in pairwise(process):
            if previous.begin < life.begin:  # not the same heartbeat again
                _add_pause(latest, life, covered, missing)
            covered.append(Span(life.begin, life.seen))
            latest = max(latest, life, key=lambda each: each.last_beat)
        if not latest.has_stopped and latest.due >= period.end:  # the process may still be running
            covered.append(Span(latest.last_beat, period.end))
    return Coverage(period, tuple(_clip(_subtract(_merge(covered), _merge(missing)), period)))


def _add_pause(before: Life, after: Life, covered: list[Span], missing: list[Span]) -> None:
    """Add the time between two lives of a process to what is covered or missing, if it was running."""
    begin, first = before.last_beat, after.first
    if first.lost:
        missing.append(Span(begin if begin <= first.ts else first.ts - patience(first), first.ts))
    elif begin <= first.ts and first.at != "start":
        if first.ts <= before.due:
            covered.append(Span(begin, first.ts))
        else:
            missing.append(Span(before.seen, first.ts))


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
