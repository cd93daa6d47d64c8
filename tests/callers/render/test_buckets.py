from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from proxy.callers.render.buckets import MAX_BUCKETS, bucket_days, bucket_sums, buckets
from tests.callers.sample import DAY, NOW, analyzed, beats, call, daily


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
