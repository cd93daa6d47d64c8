"""The layout of the chart on the page: what is shown, its scales and labels, and where everything is drawn.

Pure. Lengths are in SVG units; x grows to the right and y downwards.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import accumulate, chain, count, pairwise
from operator import add
from typing import NamedTuple

from proxy.callers.report.coverage import Coverage, Span
from proxy.callers.report.report import CallerReport
from proxy.output.formatting import day

MAX_BUCKETS = 120
"""Maximum number of bars. Up to this many days have one each; with more days, a bar stands for weeks."""

_DAY = timedelta(days=1)


# --- what is shown


class Bucket(NamedTuple):
    """Consecutive days that share a bar.

    Attributes:
        calls: number of calls.
        callers: number of callers. A retired caller counts from its first call to its last one, any other to the end.
        coverage: share of the days that the log covers, from 0 to 1; days outside the period do not count.
    """

    span: Span
    calls: int
    callers: int
    coverage: float

    @property
    def name(self) -> str:
        """The day, or the first and the last day."""
        last = self.span.end - _DAY
        return day(last) if self.span.begin == last else f"{day(self.span.begin)} to {day(last)}"


def buckets(report: CallerReport) -> list[Bucket]:
    """The period of a report in buckets. Only the first may be shorter: a short last one would look like a drop."""
    days, size = report.days, bucket_days(len(report.days))
    totals = [0] * len(days)
    for row in report.callers:
        totals = list(map(add, totals, row.by_day))
    ends = range(len(days) - (len(days) - 1) // size * size, len(days) + 1, size)
    spans = [Span(days[max(end - size, 0)], days[end - 1] + _DAY) for end in ends]
    calls, callers = bucket_sums(totals, size), _callers(report, len(days), size)
    coverage = [_coverage(span, report.coverage) for span in spans]
    return [Bucket(*values) for values in zip(spans, calls, callers, coverage, strict=True)]


def bucket_days(days: int) -> int:
    """The number of days in a bucket: one, or as few whole weeks as keep the number of buckets to `MAX_BUCKETS`."""
    return 1 if days <= MAX_BUCKETS else 7 * -(-days // (7 * MAX_BUCKETS))


def bucket_sums(values: Sequence[int], size: int) -> list[int]:
    """Sums of `size` values each, where the first sum may have fewer."""
    padded = [0] * (-len(values) % size) + list(values)
    return [sum(padded[start : start + size]) for start in range(0, len(padded), size)]


def _callers(report: CallerReport, days: int, size: int) -> list[int]:
    begin, padding = report.coverage.period.begin.toordinal(), -days % size
    changes = [0] * (-(-days // size) + 1)

    def bucket_at(moment: datetime) -> int:
        return (min(max(moment.toordinal() - begin, 0), days - 1) + padding) // size

    begin_of_period = report.coverage.period.begin
    for row in (row for row in report.callers if row.state != "retired" or row.last_seen >= begin_of_period):
        changes[bucket_at(row.first_seen)] += 1
        changes[bucket_at(row.last_seen) + 1 if row.state == "retired" else -1] -= 1
    return list(accumulate(changes))[:-1]


def _coverage(span: Span, coverage: Coverage) -> float:
    part = Span(max(span.begin, coverage.period.begin), min(span.end, coverage.period.end))
    length = part.length.total_seconds()
    return coverage.covered_seconds(part) / length if length > 0 else 0.0


# --- labels


def ticks(top: int, most: int = 4) -> list[int]:
    """Round numbers from 0 to at least `top`, at most `most` of them above 0."""
    step = next(step for step in _round_numbers() if step * most >= top)
    return list(range(0, max(-(-top // step), 1) * step + 1, step))


def _round_numbers() -> Iterator[int]:
    return (step * 10**power for power in count() for step in (1, 2, 5))


def abbreviated(number: int) -> str:
    """A round number in few characters, such as ``20k``."""
    for power, suffix in ((4, "T"), (3, "G"), (2, "M"), (1, "k")):
        if number >= 1000**power:
            return f"{number / 1000**power:g}{suffix}"
    return str(number)


def date_labels(first: datetime, days: int, most: int) -> list[tuple[datetime, str]]:
    """Evenly spaced days from the first one on, each with its label, at most `most` of them."""
    every = [first + timedelta(days=index) for index in range(days)]
    for step in (1, 2, 7, 14):  # ordinal 1 is a Monday
        if days <= step * most:
            return [(moment, f"{moment.day} {moment:%b}") for moment in every if moment.toordinal() % step == 1 % step]
    firsts = [moment for moment in every if moment.day == 1]
    steps = chain((1, 2, 3, 6), (12 * years for years in _round_numbers()))
    months = ([moment for moment in firsts if (moment.year * 12 + moment.month - 1) % step == 0] for step in steps)
    return [(moment, f"{moment:%b %Y}") for moment in next(some for some in months if len(some) <= most)]


# --- where it is drawn

WIDTH = 960
_CALLERS_HEIGHT, _CALLS_HEIGHT = 110, 130
_LEFT, _RIGHT, _DIGIT = 40, 16, 9
_HEADING, _BETWEEN, _DATES = 30, 46, 28
_MAX_DATES = 9
_MAX_BAR_WIDTH = 48.0
_MIN_BAR_HEIGHT = 1.5


class Bar(NamedTuple):
    """The calls in a bucket."""

    x: float
    y: float
    width: float
    height: float
    label: str


class Shade(NamedTuple):
    """A gap in the log."""

    x: float
    width: float


class Panel(NamedTuple):
    """A part of the chart with its own y axis.

    Attributes:
        levels: y and label of each tick, from the bottom up.
    """

    top: float
    bottom: float
    levels: list[tuple[float, str]]


class Chart(NamedTuple):
    """Everything to draw.

    Attributes:
        left, right: x of the begin and the end of the period.
        line: SVG path of the number of callers.
        area: the same path, closed along the axis.
        end: x and y of the end of the line, and the number of callers there.
        dates: x and label of each date.
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
    """Maps times to x."""

    begin: datetime
    end: datetime
    left: float
    right: float

    def x(self, moment: datetime) -> float:
        share = (moment - self.begin) / (self.end - self.begin)
        return self.left + (self.right - self.left) * min(max(share, 0), 1)


def make_chart(shown: Sequence[Bucket], gaps: Iterable[Span]) -> Chart:
    """Lay out two panels, the callers above the calls.

    Args:
        shown: the buckets of the period, at least one.
        gaps: gaps in the log, in order.
    """
    begin, end = shown[0].span.begin, shown[-1].span.end
    scale = _Scale(begin, end, _LEFT, WIDTH - _RIGHT - _DIGIT * len(str(shown[-1].callers)))
    callers, caller_ticks = _panel(_HEADING, _CALLERS_HEIGHT, [bucket.callers for bucket in shown])
    calls, call_ticks = _panel(callers.bottom + _BETWEEN, _CALLS_HEIGHT, [bucket.calls for bucket in shown])
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


def _bar(bucket: Bucket, scale: _Scale, panel: Panel, marks: list[int]) -> Bar:
    begin, end = scale.x(bucket.span.begin), scale.x(bucket.span.end)
    width = min((end - begin) * 0.8, _MAX_BAR_WIDTH)
    y = min(_y(bucket.calls, panel, marks), panel.bottom - _MIN_BAR_HEIGHT)
    label = f"{bucket.name}: {bucket.calls} calls"
    return Bar(round((begin + end - width) / 2, 1), y, round(width, 1), round(panel.bottom - y, 1), label)


def _shades(gaps: Iterable[Span], scale: _Scale) -> list[Shade]:
    """A shade per gap. Shades that would touch are merged, so that their number is bounded."""
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
    return [(round(scale.x(moment + middle), 1), label) for moment, label in date_labels(first, days, _MAX_DATES)]


# --- sparklines

SPARK_HEIGHT = 18
_SPARK_STEP = 3


def sparkline_path(by_day: Sequence[int], width: int) -> tuple[int, str]:
    """The width of a sparkline, and the SVG path of its bars, at most `width` of them."""
    values = bucket_sums(by_day, -(-len(by_day) // width) or 1)
    top = max(values, default=0)
    heights = [-(-value * SPARK_HEIGHT // top) if value else 0 for value in values]
    bars = [f"M{index * _SPARK_STEP} {SPARK_HEIGHT}v-{high}h2v{high}z" for index, high in enumerate(heights) if high]
    return len(values) * _SPARK_STEP, "".join(bars)
