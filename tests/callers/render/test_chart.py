from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.callers.render.chart import (
    MAX_BUCKETS,
    WIDTH,
    Bucket,
    Chart,
    abbreviated,
    bucket_days,
    bucket_sums,
    buckets,
    date_labels,
    make_chart,
    sparkline_path,
    ticks,
)
from proxy.callers.report.coverage import Span
from tests.callers.sample import DAY, NOW, analyzed, beats, call, daily

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def bucket(first: int, days: int, calls: int = 0, callers: int = 0) -> Bucket:
    return Bucket(Span(MONDAY + DAY * first, MONDAY + DAY * (first + days)), calls, callers, 1.0)


# --- what is shown


def test_every_day_of_a_short_period_has_its_calls(tmp_path: Path) -> None:
    report = analyzed(tmp_path, [*beats(4), *daily("a", 4, 0), call("b", DAY * 2), call("b", DAY * 2)]).report
    shown = buckets(report)
    assert [one.calls for one in shown] == [1, 1, 3, 1, 1]
    assert [one.name for one in shown] == ["2026-03-27", "2026-03-28", "2026-03-29", "2026-03-30", "2026-03-31"]


def test_only_retired_callers_end_with_their_last_call(tmp_path: Path) -> None:
    records = [*beats(90), *daily("retired", 90, 50), *daily("active", 60, 1), *daily("fading", 89, 5)]
    shown = buckets(analyzed(tmp_path, records).report)
    there = {(NOW - one.span.begin).days: one.callers for one in shown}
    assert there == {
        90: 1,
        **dict.fromkeys(range(61, 90), 2),
        **dict.fromkeys(range(50, 61), 3),
        **dict.fromkeys(range(50), 2),
    }


def test_a_long_period_is_shown_in_weeks_and_the_last_one_is_complete(tmp_path: Path) -> None:
    report = analyzed(tmp_path, [*beats(199), *daily("a", 199, 0)]).report
    assert len(report.days) == 200
    shown = buckets(report)
    assert [one.calls for one in shown] == [4, *[7] * 28]
    assert shown[0].name == "2025-09-13 to 2025-09-16"
    assert shown[-1].name == "2026-03-25 to 2026-03-31"
    assert {one.callers for one in shown} == {1}


def test_a_period_without_calls_has_empty_buckets(tmp_path: Path) -> None:
    shown = buckets(analyzed(tmp_path, beats(2)).report)
    assert [(one.calls, one.callers) for one in shown] == [(0, 0)] * 3


def test_an_empty_log_is_one_empty_day(tmp_path: Path) -> None:
    (only,) = buckets(analyzed(tmp_path, []).report)
    assert (only.name, only.calls, only.callers, only.coverage) == ("2026-03-31", 0, 0, 0.0)


def test_a_bucket_has_the_coverage_of_its_days(tmp_path: Path) -> None:
    # From noon, four days ago, to noon; the log is missing from midnight to the next noon.
    report = analyzed(tmp_path, [*beats(4, 2.5), *beats(1)]).report
    assert [one.coverage for one in buckets(report)] == [1.0, 1.0, 0.0, 0.5, 1.0]


@given(st.integers(1, 40_000))
def test_the_number_of_buckets_is_bounded(days: int) -> None:
    length = bucket_days(days)
    assert -(-days // length) <= MAX_BUCKETS
    assert length == 1 or length % 7 == 0
    assert length == 1 or days > MAX_BUCKETS


@given(st.lists(st.integers(0, 9), min_size=1), st.integers(1, 20))
def test_sums_are_complete_and_the_last_bucket_is_full(values: list[int], size: int) -> None:
    found = bucket_sums(values, size)
    assert sum(found) == sum(values)
    assert found[-1] == sum(values[-size:])
    assert len(found) == -(-len(values) // size)


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


def drawn(shown: list[Bucket], gaps: list[Span] | None = None) -> Chart:
    return make_chart(shown, gaps or [])


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
