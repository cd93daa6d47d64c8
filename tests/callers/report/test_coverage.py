from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.callers.record import SCHEMA, Heartbeat
from proxy.callers.report.coverage import Coverage, Span, key_ids, measure_coverage

ZERO = datetime(2026, 11, 1, tzinfo=UTC)


def at(hours: float) -> datetime:
    return ZERO + timedelta(hours=hours)


def life(text: str, instance: str = "host:1") -> list[Heartbeat]:
    """Heartbeats an hour apart from midnight on: + is a start, - one of an interval, x a stop, a space none."""
    kinds: dict[str, Any] = {"+": "start", "-": "interval", "x": "stop"}
    return [Heartbeat(SCHEMA, at(hour), kinds[mark], 3600, instance) for hour, mark in enumerate(text) if mark in kinds]


def covered(*beats: Heartbeat, hours: float) -> list[tuple[float, float]]:
    spans = measure_coverage(beats, Span(ZERO, at(hours))).covered
    return [((span.begin - ZERO) / timedelta(hours=1), (span.end - ZERO) / timedelta(hours=1)) for span in spans]


@pytest.mark.parametrize(
    ("beats", "expected"),
    [
        ("+---------x", [(0, 10)]),
        ("+----------", [(0, 10)]),
        ("+--------x ", [(0, 9)]),  # stopped, and nobody else went on
        ("+---------+", [(0, 9)]),  # killed some time after the last one, and started again
        ("+---x +----", [(0, 4), (6, 10)]),
        ("+---  -----", [(0, 3), (6, 10)]),  # it lived on, but that part of the log is missing
        ("+-------   ", [(0, 7)]),  # the next one is overdue
        ("----       ", [(0, 3)]),  # the log begins in the middle of a life
        ("           ", []),
    ],
)
def test_what_heartbeats_cover(beats: str, expected: list[tuple[float, float]]) -> None:
    assert covered(*life(beats), hours=10) == expected


def test_a_heartbeat_may_be_late_by_half_its_interval_and_a_minute() -> None:
    late = Heartbeat(SCHEMA, at(1.5) + timedelta(minutes=1), "interval", 3600, "host:1")
    later = Heartbeat(SCHEMA, at(1.5) + timedelta(minutes=1, seconds=1), "interval", 3600, "host:1")

    assert covered(*life("+"), late, hours=1.5) == [(0, 1.5)]
    assert covered(*life("+"), later, hours=1.5) == []


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("+--x       ", "   +------x", [(0, 10)]),
        ("+-----x    ", "  +-------x", [(0, 10)]),
        ("+---------x", "   +--x    ", [(0, 10)]),
        ("+--        ", "+---------x", [(0, 10)]),  # killed: nobody could call it any more
        ("+--    ---x", "+---------x", [(0, 2), (7, 10)]),  # it lived, so it may have been called
    ],
)
def test_one_running_process_is_enough_for_coverage(one: str, other: str, expected: list[tuple[float, float]]) -> None:
    beats = [*life(one, "a:1"), *life(other, "b:1")]

    assert covered(*beats, hours=10) == expected
    assert covered(*reversed(beats), hours=10) == expected


def test_coverage_is_clipped_to_the_period() -> None:
    kept = measure_coverage(life("+---------x"), Span(at(2.5), at(4)))

    assert kept == Coverage(Span(at(2.5), at(4)), (Span(at(2.5), at(4)),))
    assert kept.share == 1
    assert kept.gaps == []


def test_gaps_include_those_at_both_ends() -> None:
    kept = measure_coverage(life("  +---x +-x"), Span(ZERO, at(12)))

    assert kept.gaps == [Span(at(0), at(2)), Span(at(6), at(8)), Span(at(10), at(12))]
    assert kept.share == 0.5


def test_the_gap_of_a_restart_counts_but_is_not_listed() -> None:
    restarted = Heartbeat(SCHEMA, at(2) + timedelta(minutes=6), "start", 3600, "host:2")
    kept = measure_coverage([*life("+-x"), restarted], Span(ZERO, at(3)))

    assert kept.gaps == []
    assert kept.share == pytest.approx(1 - 6 / 180)


def test_a_period_without_length_is_not_covered() -> None:
    assert measure_coverage(life("+"), Span(ZERO, ZERO)).share == 0


@given(st.lists(st.text("+-x ", min_size=1, max_size=12), max_size=4), st.integers(1, 12), st.integers(0, 11))
def test_covered_spans_and_gaps_make_up_the_period(lives: list[str], hours: int, since: int) -> None:
    beats = [beat for number, text in enumerate(lives) for beat in life(text, f"host:{number}")]
    period = Span(at(min(since, hours)), at(hours))
    kept = measure_coverage(beats, period)

    spans = sorted([*kept.covered, *kept.gaps])
    assert sum((span.length for span in spans), timedelta()) == period.length
    assert all(before.end == after.begin for before, after in pairwise(spans))
    assert 0 <= kept.share <= 1


def test_heartbeats_say_with_which_keys_the_log_was_written() -> None:
    beats = [Heartbeat(1, at(hour), "interval", 3600, "a:1", key) for hour, key in enumerate(["a", None, "a", "b"])]

    assert key_ids(beats) == {"a", "b"}
    assert key_ids(beats, at(3)) == {"a"}
    assert key_ids(beats, at(0)) == set()
