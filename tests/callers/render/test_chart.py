from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.callers.render.buckets import MAX_BUCKETS, Bucket
from proxy.callers.render.chart import WIDTH, Chart, abbreviated, date_labels, make_chart, sparkline_path, ticks
from proxy.callers.render.marks import Mark
from proxy.callers.render.projection import Projection
from proxy.callers.report.coverage import Span
from tests.callers.sample import DAY

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def bucket(first: int, days: int, calls: int = 0, callers: int = 0) -> Bucket:
    return Bucket(Span(MONDAY + DAY * first, MONDAY + DAY * (first + days)), calls, callers, 1.0)


# --- labels


@pytest.mark.parametrize(
    ("top", "expected"),
    [
        (0, [0, 1]),
        (1, [0, 1]),
        (4, [0, 1, 2, 3, 4]),
        (5, [0, 2, 4, 6]),
        (9, [0, 5, 10]),
        (340, [0, 100, 200, 300, 400]),
        (401, [0, 200, 400, 600]),
        (10**9, [0, 5 * 10**8, 10**9]),
    ],
)
def test_ticks_are_few_and_round(top: int, expected: list[int]) -> None:
    assert ticks(top) == expected


@given(st.integers(0, 10**15))
def test_ticks_begin_at_zero_and_reach_the_top(top: int) -> None:
    marks = ticks(top)
    assert marks[0] == 0
    assert marks[-2] < max(top, 1) <= marks[-1]
    assert 2 <= len(marks) <= 5


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0, "0"), (500, "500"), (1000, "1k"), (2500, "2.5k"), (20_000, "20k"), (5_000_000, "5M"), (10**9, "1G")],
)
def test_a_large_number_is_abbreviated(number: int, expected: str) -> None:
    assert abbreviated(number) == expected


@pytest.mark.parametrize(
    ("days", "most", "expected"),
    [
        (1, 4, ["2 Mar"]),
        (4, 4, ["2 Mar", "3 Mar", "4 Mar", "5 Mar"]),
        (8, 4, ["2 Mar", "4 Mar", "6 Mar", "8 Mar"]),
        (28, 4, ["2 Mar", "9 Mar", "16 Mar", "23 Mar"]),
        (56, 4, ["2 Mar", "16 Mar", "30 Mar", "13 Apr"]),
        (100, 4, ["Apr 2026", "May 2026", "Jun 2026"]),
        (731, 9, ["Apr 2026", "Jul 2026", "Oct 2026", "Jan 2027", "Apr 2027", "Jul 2027", "Oct 2027", "Jan 2028"]),
        (4000, 4, ["Jan 2030", "Jan 2035"]),
    ],
)
def test_date_labels_are_evenly_spaced(days: int, most: int, expected: list[str]) -> None:
    assert [label for _, label in date_labels(MONDAY, days, most)] == expected


@given(st.integers(1, 20_000), st.integers(0, 3000), st.integers(4, 9))
def test_the_number_of_date_labels_is_bounded(days: int, shift: int, most: int) -> None:
    first = MONDAY + DAY * shift
    found = date_labels(first, days, most)
    assert 1 <= len(found) <= most
    assert all(first <= moment < first + DAY * days for moment, _ in found)


# --- where it is drawn


def drawn(shown: list[Bucket], gaps: Iterable[Span] = (), **more: Any) -> Chart:
    return make_chart(shown, gaps, **more)


def test_the_height_of_a_bar_is_proportional_to_its_calls() -> None:
    found = drawn([bucket(0, 1, calls=10), bucket(1, 1), bucket(2, 1, calls=20)])
    first, second = found.bars  # and none for nothing
    assert second.y == found.calls.top
    assert first.y + first.height == second.y + second.height == found.calls.bottom
    assert first.height * 2 == second.height
    assert first.label == "2026-03-02: 10 calls"


def test_one_call_is_visible_next_to_a_million() -> None:
    found = drawn([bucket(0, 1, calls=1), bucket(1, 1, calls=10**6)])
    assert found.bars[0].height >= 1


def test_the_line_steps_where_the_callers_change() -> None:
    found = drawn([bucket(0, 1, callers=4), bucket(1, 1, callers=4), bucket(2, 1, callers=2)])
    middle = (found.callers.top + found.callers.bottom) / 2
    third = found.left + (found.right - found.left) * 2 / 3
    assert found.line == f"M{found.left:g} {found.callers.top:g}H{third:.1f}V{middle:g}H{found.right:g}"
    assert found.end == (found.right, middle, 2)


def test_a_shorter_first_bucket_is_narrower() -> None:
    found = drawn([bucket(0, 4, calls=1), *(bucket(4 + 7 * week, 7, calls=1) for week in range(20))])
    assert found.bars[0].width / found.bars[1].width == pytest.approx(4 / 7, abs=0.01)


def test_gaps_are_shaded_at_their_exact_times() -> None:
    found = drawn([bucket(0, 1), bucket(1, 1)], [Span(MONDAY + DAY / 2, MONDAY + DAY)])
    (shade,) = found.shades
    quarter = (found.right - found.left) / 4
    assert (shade.x, shade.width) == pytest.approx((found.left + quarter, quarter), abs=0.1)


def test_short_gaps_are_visible_and_the_number_of_shades_is_bounded() -> None:
    minute = timedelta(minutes=1)
    gaps = [Span(MONDAY + minute * start, MONDAY + minute * (start + 10)) for start in range(0, 100 * 1440, 20)]
    shown = [bucket(day, 1) for day in range(100)]
    assert drawn(shown, gaps[:1]).shades[0].width >= 1
    assert len(drawn(shown, gaps).shades) <= WIDTH


# --- marks and projection


TEN = [bucket(day, 1, callers=4) for day in range(10)]


def x_of(found: Chart, days: float, of: float) -> float:
    return found.left + (found.right - found.left) * days / of


def test_the_time_axis_ends_with_the_period_where_nothing_is_to_come() -> None:
    found = drawn(TEN, marks=[Mark(MONDAY + DAY, "freeze")])
    assert found.end[0] == found.right
    assert [line.x for line in found.lines] == [pytest.approx(x_of(found, 1, 10), abs=0.1)]
    assert found.projection == ""


def test_the_time_axis_goes_on_to_the_last_mark() -> None:
    found = drawn(TEN, marks=[Mark(MONDAY + DAY * 12, "sunset")])
    assert found.end[0] == pytest.approx(x_of(found, 10, 13), abs=0.1)
    (line,) = found.lines
    assert line.kind == "sunset"
    assert line.x == pytest.approx(x_of(found, 12, 13), abs=0.1)


def test_what_is_too_far_away_is_not_drawn() -> None:
    found = drawn(TEN, marks=[Mark(MONDAY + DAY * 90, "sunset")])
    assert found.end[0] == pytest.approx(x_of(found, 10, 15), abs=0.1)
    assert found.lines == []


def test_a_brownout_is_as_wide_as_it_is_long_and_always_visible() -> None:
    minute = timedelta(minutes=1)
    marks = [Mark(MONDAY, "brownout", MONDAY + minute), Mark(MONDAY + DAY * 5, "brownout", MONDAY + DAY * 6)]
    short, long = drawn(TEN, marks=marks).lines
    assert short.width == 2
    assert long.width == pytest.approx((WIDTH - 65) / 10, abs=1)


def test_brownouts_that_would_touch_are_one_line_and_the_number_is_bounded() -> None:
    begins = [MONDAY + timedelta(minutes=30) * index for index in range(480)]
    marks = [Mark(begin, "brownout", begin + timedelta(minutes=10)) for begin in begins]
    (line,) = drawn(TEN, marks=marks).lines
    assert line.label == marks[-1].text


def test_the_projection_is_a_straight_line_to_none() -> None:
    now, none_at = TEN[-1].span.end, TEN[-1].span.end + DAY * 4
    found = drawn(TEN, projection=Projection(Span(MONDAY, now), 7, none_at))
    x, y, _ = found.end
    assert found.projection == f"M{x:.1f} {y:g}L{x_of(found, 14, 15):.1f} {found.callers.bottom:.1f}"


def test_a_projection_beyond_the_axis_is_cut_at_its_height_there() -> None:
    now, none_at = TEN[-1].span.end, TEN[-1].span.end + DAY * 20
    found = drawn(TEN, projection=Projection(Span(MONDAY, now), 1.4, none_at))
    x, y, _ = found.end
    quarter = y + (found.callers.bottom - y) / 4
    assert found.projection == f"M{x:.1f} {y:g}L{found.right:.1f} {quarter:.1f}"


@given(
    st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**4)), min_size=1, max_size=MAX_BUCKETS),
    st.sampled_from([1, 7]),
)
def test_everything_is_inside_the_chart(values: list[tuple[int, int]], days: int) -> None:
    shown = [bucket(index * days, days, calls, callers) for index, (calls, callers) in enumerate(values)]
    found = drawn(shown, [Span(shown[0].span.begin - DAY, shown[-1].span.end + DAY)])
    (shade,) = found.shades
    for bar in found.bars:
        assert found.left <= bar.x
        assert bar.x + bar.width <= found.right + 0.1
        assert bar.width > 0
        assert found.calls.top <= bar.y <= found.calls.bottom
    assert (shade.x, shade.x + shade.width) == pytest.approx((found.left, found.right), abs=0.1)
    assert all(found.left <= x <= found.right for x, _ in found.dates)
    assert found.callers.top <= found.end[1] <= found.callers.bottom
    assert 0 < found.left < found.right < found.width
    assert found.callers.bottom < found.calls.top < found.calls.bottom < found.height


# --- sparklines


def test_a_sparkline_has_a_bar_for_each_day_with_calls() -> None:
    assert sparkline_path([1, 0, 2], 31) == (9, "M0 18v-9h2v9zM6 18v-18h2v18z")


def test_a_sparkline_of_a_long_period_sums_up_days() -> None:
    width, path = sparkline_path([1] * 100, 31)
    assert width <= 31 * 3
    assert path.count("M") == 25


def test_a_sparkline_without_calls_is_empty() -> None:
    assert sparkline_path([0, 0], 31) == (6, "")
