"""The layout of the burn-down chart on the page: scales, labels, and where everything is drawn.

Pure. Lengths are in SVG units; x grows to the right and y downwards.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import chain, count, pairwise
from typing import NamedTuple

from proxy.callers.render.buckets import MAX_BUCKETS, Bucket, bucket_sums
from proxy.callers.render.marks import Mark
from proxy.callers.render.projection import Projection
from proxy.callers.report.coverage import Span

_DAY = timedelta(days=1)


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
_CALLERS_HEIGHT, _CALLS_HEIGHT = 140, 70
_LEFT, _RIGHT, _DIGIT = 40, 16, 9
_HEADING, _BETWEEN, _DATES = 46, 40, 28
_LONGEST_FUTURE = 0.5
"""Of the length of the period: what comes later is not drawn."""
_MAX_DATES = 9
_MAX_BAR_WIDTH = 48.0
_MIN_BAR_HEIGHT = 1.5
_MIN_LINE_WIDTH = 2.0


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


class Line(NamedTuple):
    """A mark of the policy, or several that would touch, with the label of the last."""

    x: float
    width: float
    kind: str
    label: str


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
        left, right: x of the begin and the end of the time axis.
        line: SVG path of the number of callers.
        area: the same path, closed along the axis.
        end: x and y of the end of the line, and the number of callers there.
        lines: the marks of the policy.
        projection: SVG path of the projected number of callers; empty without a projection.
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
    lines: list[Line]
    projection: str
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


def make_chart(
    shown: Sequence[Bucket],
    gaps: Iterable[Span],
    marks: Sequence[Mark] = (),
    projection: Projection | None = None,
) -> Chart:
    """Lay out two panels, the callers above the calls.

    Args:
        shown: the buckets of the period, at least one.
        gaps: gaps in the log, in order.
        marks: what the policy marks, in order.
        projection: of the number of callers.
    """
    begin, now = shown[0].span.begin, shown[-1].span.end
    end = _end(begin, now, [mark.at for mark in marks], projection)
    scale = _Scale(begin, end, _LEFT, WIDTH - _RIGHT - _DIGIT * len(str(shown[-1].callers)))
    callers, caller_ticks = _panel(_HEADING, _CALLERS_HEIGHT, [bucket.callers for bucket in shown])
    calls, call_ticks = _panel(callers.bottom + _BETWEEN, _CALLS_HEIGHT, [bucket.calls for bucket in shown])
    steps = [_y(bucket.callers, callers, caller_ticks) for bucket in shown]
    line, today = _line(shown, steps, scale), scale.x(now)
    return Chart(
        width=WIDTH,
        height=calls.bottom + _DATES,
        left=scale.left,
        right=scale.right,
        callers=callers,
        calls=calls,
        line=line,
        area=f"{line}V{callers.bottom:g}H{scale.left:g}z",
        end=(round(today, 1), steps[-1], shown[-1].callers),
        bars=[_bar(bucket, scale, calls, call_ticks) for bucket in shown if bucket.calls],
        shades=_shades(gaps, scale),
        lines=_marked([mark for mark in marks if begin <= mark.at <= end], scale),
        projection=_projected(projection, now, (today, steps[-1]), callers, scale) if projection is not None else "",
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
    return "".join([first, *corners, f"H{scale.x(shown[-1].span.end):g}"])


def _end(begin: datetime, now: datetime, marks: Sequence[datetime], projection: Projection | None) -> datetime:
    """The end of the time axis: where the last mark and the projection end, but not too far away."""
    coming = [*marks, *([projection.none_at] if projection is not None else [])]
    last = max([moment for moment in coming if moment > now], default=None)
    return min(last + _DAY, now + _LONGEST_FUTURE * (now - begin)) if last is not None else now


def _projected(projection: Projection, now: datetime, start: tuple[float, float], panel: Panel, scale: _Scale) -> str:
    """From the callers that are left, straight to none, or to where the axis ends."""
    x, y = start
    drawn = min((scale.end - now) / (projection.none_at - now), 1)
    last = scale.x(projection.none_at) if drawn == 1 else scale.right
    return f"M{x:.1f} {y:g}L{last:.1f} {y + (panel.bottom - y) * drawn:.1f}"


def _marked(marks: Iterable[Mark], scale: _Scale) -> list[Line]:
    """A line per mark. Brownouts that would touch are merged, so that their number is bounded."""
    lines: dict[str, list[Line]] = defaultdict(list)
    for mark in marks:
        x, same = scale.x(mark.at), lines[mark.kind]
        width = max(scale.x(mark.end or mark.at) - x, _MIN_LINE_WIDTH)
        if same and x < same[-1].x + same[-1].width + 1:
            before = same.pop()
            width, x = x + width - before.x, before.x
        same.append(Line(round(x, 1), round(width, 1), mark.kind, mark.text))
    return [line for same in lines.values() for line in same]


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
