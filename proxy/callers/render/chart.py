"""The arithmetic of the page's pictures: buckets of days, scales, labels and where each thing is drawn.

Pure. Lengths are in the units of the picture, which grow to the right and downwards.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import accumulate, chain, count, pairwise
from typing import NamedTuple

from proxy.callers.report.coverage import Coverage, Span
from proxy.callers.report.report import CallerReport
from proxy.output.formatting import day

MAX_BUCKETS = 120
"""How many bars there are at the most: of days, or of so many weeks each."""

_DAY = timedelta(days=1)
_THOUSANDS = "kMGTPE"


# --- what is shown


class Bucket(NamedTuple):
    """Some days in a row.

    Attributes:
        span: from the beginning of the first day to the end of the last one.
        calls: of everybody.
        callers: how many were there: one that is retired from its first call to its last one, any other to the end.
        kept: part of it for which the log was kept, from 0 to 1, so far as it lies in the period.
    """

    span: Span
    calls: int
    callers: int
    coverage: float

    @property
    def name(self) -> str:
        """The day, or the first and the last one."""
        last = self.span.end - _DAY
        return day(last) if self.span.begin == last else f"{day(self.span.begin)} to {day(last)}"


def buckets(report: CallerReport) -> list[Bucket]:
    """The period of a report in buckets of one length, the last one whole: a part of one would look like a fall."""
    days, size = report.days, bucket_days(len(report.days))
    totals = [sum(calls) for calls in zip(*(row.by_day for row in report.callers), strict=True)] or [0] * len(days)
    ends = range(len(days) - (len(days) - 1) // size * size, len(days) + 1, size)
    spans = [Span(days[max(end - size, 0)], days[end - 1] + _DAY) for end in ends]
    return [
        Bucket(span, calls, callers, _coverage(span, report.coverage))
        for span, calls, callers in zip(
            spans, bucket_sums(totals, size), _callers(report, len(days), size), strict=True
        )
    ]


def bucket_days(days: int) -> int:
    """How many days a bar stands for: one, or as many weeks as it takes to have no more than `MAX_BUCKETS`."""
    return 1 if days <= MAX_BUCKETS else 7 * -(-days // (7 * MAX_BUCKETS))


def bucket_sums(values: Sequence[int], size: int) -> list[int]:
    """Sums of so many values each, the last one whole."""
    padded = [0] * (-len(values) % size) + list(values)
    return [sum(padded[start : start + size]) for start in range(0, len(padded), size)]


def _callers(report: CallerReport, days: int, size: int) -> list[int]:
    begin, padding = report.coverage.period.begin.toordinal(), -days % size
    changes = [0] * (-(-days // size) + 1)

    def at(moment: datetime) -> int:
        return (min(max(moment.toordinal() - begin, 0), days - 1) + padding) // size

    for row in report.callers:
        changes[at(row.first_seen)] += 1
        changes[at(row.last_seen) + 1 if row.state == "retired" else -1] -= 1
    return list(accumulate(changes))[:-1]


def _coverage(span: Span, coverage: Coverage) -> float:
    part = Span(max(span.begin, coverage.period.begin), min(span.end, coverage.period.end))
    length = part.length.total_seconds()
    return coverage.covered_seconds(part) / length if length > 0 else 0.0


# --- labels


def ticks(top: int, most: int = 4) -> list[int]:
    """Round numbers from 0 to no less than `top`, and no more than `most` of them above 0."""
    step = next(step for step in _round_numbers() if step * most >= top)
    return list(range(0, max(-(-top // step), 1) * step + 1, step))


def _round_numbers() -> Iterator[int]:
    return (step * 10**power for power in count() for step in (1, 2, 5))


def abbreviated(number: int) -> str:
    """A round number in few characters: ``20k``."""
    for power in range(len(_THOUSANDS), 0, -1):
        if number >= 1000**power:
            return f"{number / 1000**power:g}{_THOUSANDS[power - 1]}"
    return str(number)


def date_labels(first: datetime, days: int, most: int) -> list[tuple[datetime, str]]:
    """Some of the days from the first one on, each with its label: no more than `most` of them, and round ones."""
    every = [first + timedelta(days=index) for index in range(days)]
    for step in (1, 2, 7, 14):  # the year 1 began on a Monday
        if days <= step * most:
            return [(moment, f"{moment.day} {moment:%b}") for moment in every if moment.toordinal() % step == 1 % step]
    firsts = [moment for moment in every if moment.day == 1]
    steps = chain((1, 2, 3, 6), (12 * years for years in _round_numbers()))
    months = ([moment for moment in firsts if (moment.year * 12 + moment.month - 1) % step == 0] for step in steps)
    return [(moment, f"{moment:%b %Y}") for moment in next(some for some in months if len(some) <= most)]


# --- where it is drawn


WIDTH, _UPPER, _LOWER = 960, 110, 130
"""Of the picture, and the heights of the panel of the callers and of the one of the calls."""

_LABELS = 9
"""How many dates there is room for."""

_LEFT, _RIGHT, _DIGIT = 40, 16, 9
_HEADING, _BETWEEN, _DATES = 30, 46, 28


class Bar(NamedTuple):
    """The calls of a bucket."""

    x: float
    y: float
    width: float
    height: float
    label: str


class Shade(NamedTuple):
    """A time for which the log was not kept."""

    x: float
    width: float


class Panel(NamedTuple):
    """A part of the picture with an axis of its own.

    Attributes:
        levels: y and label of each tick, from the bottom up.
    """

    top: float
    bottom: float
    levels: list[tuple[float, str]]


class Chart(NamedTuple):
    """Everything that is drawn.

    Attributes:
        left, right: where the period begins and ends.
        line: path of the callers.
        area: the same, closed along the axis.
        end: where the line ends, with the callers that are left.
        dates: x and label of each.
    """

    width: float
    height: float
    left: float
    right: float
    callers: Panel
    calls: Panel
    line: str
    area: str
    end: tuple[float, float, int]
    bars: list[Bar]
    shades: list[Shade]
    dates: list[tuple[float, str]]


class _Scale(NamedTuple):
    """From times to x."""

    begin: datetime
    end: datetime
    left: float
    right: float

    def x(self, moment: datetime) -> float:
        part = (moment - self.begin) / (self.end - self.begin)
        return self.left + (self.right - self.left) * min(max(part, 0), 1)


def make_chart(shown: Sequence[Bucket], gaps: Iterable[Span]) -> Chart:
    """Lay out the callers and the calls, one above the other.

    Args:
        shown: the buckets of the period, at least one.
        gaps: times for which the log was not kept, in their order.
    """
    begin, end = shown[0].span.begin, shown[-1].span.end
    scale = _Scale(begin, end, _LEFT, WIDTH - _RIGHT - _DIGIT * len(str(shown[-1].callers)))
    callers, caller_ticks = _panel(_HEADING, _UPPER, [bucket.callers for bucket in shown])
    calls, call_ticks = _panel(callers.bottom + _BETWEEN, _LOWER, [bucket.calls for bucket in shown])
    steps = [_y(bucket.callers, callers, caller_ticks) for bucket in shown]
    line = _line(shown, steps, scale)
    return Chart(
        width=WIDTH,
        height=calls.bottom + _DATES,
        left=scale.left,
        right=scale.right,
        callers=callers,
        calls=calls,
        line=line,
        area=f"{line}V{callers.bottom:g}H{scale.left:g}z",
        end=(scale.right, steps[-1], shown[-1].callers),
        bars=[_bar(bucket, scale, calls, call_ticks) for bucket in shown if bucket.calls],
        shades=_shades(gaps, scale),
        dates=_dates(begin, (end - begin).days, scale),
    )


def _panel(top: float, height: float, values: Iterable[int]) -> tuple[Panel, list[int]]:
    marks = ticks(max(values))
    panel = Panel(top, top + height, [])
    panel.levels.extend((_y(mark, panel, marks), abbreviated(mark)) for mark in marks)
    return panel, marks


def _y(value: int, panel: Panel, marks: list[int]) -> float:
    return round(panel.bottom - (panel.bottom - panel.top) * value / marks[-1], 1)


def _line(shown: Sequence[Bucket], steps: Sequence[float], scale: _Scale) -> str:
    first = f"M{scale.left:g} {steps[0]:g}"
    corners = [
        f"H{scale.x(bucket.span.begin):.1f}V{y:g}"
        for bucket, (before, y) in zip(shown[1:], pairwise(steps), strict=True)
        if y != before
    ]
    return "".join([first, *corners, f"H{scale.right:g}"])


_WIDEST = 48.0
_LEAST = 1.5


def _bar(bucket: Bucket, scale: _Scale, panel: Panel, marks: list[int]) -> Bar:
    begin, end = scale.x(bucket.span.begin), scale.x(bucket.span.end)
    width = min((end - begin) * 0.8, _WIDEST)
    y = min(_y(bucket.calls, panel, marks), panel.bottom - _LEAST)  # one call is seen beside thousands
    label = f"{bucket.name}: {bucket.calls} calls"
    return Bar(round((begin + end - width) / 2, 1), y, round(width, 1), round(panel.bottom - y, 1), label)


def _shades(gaps: Iterable[Span], scale: _Scale) -> list[Shade]:
    """Where nothing is known; what would touch is one, however many gaps there are."""
    sides: list[list[float]] = []
    for gap in gaps:
        begin, end = scale.x(gap.begin), scale.x(gap.end)
        if sides and begin < sides[-1][1] + 1:
            sides[-1][1] = max(sides[-1][1], end)
        else:
            sides.append([begin, end])
    return [Shade(round(begin, 1), round(max(end - begin, 1), 1)) for begin, end in sides]


def _dates(first: datetime, days: int, scale: _Scale) -> list[tuple[float, str]]:
    middle = timedelta(0) if days > MAX_BUCKETS else _DAY / 2
    return [(round(scale.x(moment + middle), 1), label) for moment, label in date_labels(first, days, _LABELS)]


# --- sparklines

SPARK_HEIGHT = 18
_SPARK_STEP = 3


def sparkline_path(by_day: Sequence[int], width: int) -> tuple[int, str]:
    """A trend in small: how wide it is, and the path of its bars, of which there are up to `width`."""
    values = bucket_sums(by_day, -(-len(by_day) // width) or 1)
    top = max(values, default=0)
    heights = [-(-value * SPARK_HEIGHT // top) if value else 0 for value in values]
    bars = [f"M{index * _SPARK_STEP} {SPARK_HEIGHT}v-{high}h2v{high}z" for index, high in enumerate(heights) if high]
    return len(values) * _SPARK_STEP, "".join(bars)
