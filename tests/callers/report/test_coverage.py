from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.callers.log.lives import Lives
from proxy.callers.record import SCHEMA, Heartbeat, Record
from proxy.callers.report.coverage import Coverage, Span, measure_coverage
from tests.callers.aggregating import aggregated
from tests.callers.lines import call

ZERO = datetime(2026, 11, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def at(hours: float) -> datetime:
    return ZERO + timedelta(hours=hours)


def life(text: str, instance: str = "host:1") -> list[Heartbeat]:
    """Heartbeats an hour apart from midnight on: + is a start, - one of an interval, x a stop, a space none.

    With ! and X, an interval and a stop, records were lost since the last one.
    """
    kinds: dict[str, Any] = {"+": "start", "-": "interval", "!": "interval", "x": "stop", "X": "stop"}
    return [
        Heartbeat(SCHEMA, at(hour), kinds[mark], 3600, instance, lost=3 if mark in "!X" else 0)
        for hour, mark in enumerate(text)
        if mark in kinds
    ]


def covered(*beats: Heartbeat, hours: float) -> list[tuple[float, float]]:
    spans = measure_coverage(Lives(beats), Span(ZERO, at(hours))).covered
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
        ("+--!------x", [(0, 2), (3, 10)]),  # records were lost
        ("+--!!-----x", [(0, 2), (4, 10)]),
        ("+--    !--x", [(0, 2), (7, 10)]),
        ("+--------X ", [(0, 8)]),
        ("!---------x", [(0, 10)]),  # before the log begins
    ],
)
def test_what_heartbeats_cover(beats: str, expected: list[tuple[float, float]]) -> None:
    assert covered(*life(beats), hours=10) == expected
    assert covered(*reversed(life(beats)), hours=10) == expected


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
        ("+--!------x", "+---------x", [(0, 2), (3, 10)]),  # records of one of them were lost
        ("+--   !---x", "+---------x", [(0, 2), (6, 10)]),
    ],
)
def test_one_running_process_is_enough_for_coverage(one: str, other: str, expected: list[tuple[float, float]]) -> None:
    beats = [*life(one, "a:1"), *life(other, "b:1")]

    assert covered(*beats, hours=10) == expected
    assert covered(*reversed(beats), hours=10) == expected


def test_coverage_is_clipped_to_the_period() -> None:
    kept = measure_coverage(Lives(life("+---------x")), Span(at(2.5), at(4)))

    assert kept == Coverage(Span(at(2.5), at(4)), (Span(at(2.5), at(4)),))
    assert kept.share == 1
    assert kept.gaps == []


def test_gaps_include_those_at_both_ends() -> None:
    kept = measure_coverage(Lives(life("  +---x +-x")), Span(ZERO, at(12)))

    assert kept.gaps == [Span(at(0), at(2)), Span(at(6), at(8)), Span(at(10), at(12))]
    assert kept.share == 0.5


def test_the_gap_of_a_restart_counts_but_is_not_listed() -> None:
    restarted = Heartbeat(SCHEMA, at(2) + timedelta(minutes=6), "start", 3600, "host:2")
    kept = measure_coverage(Lives([*life("+-x"), restarted]), Span(ZERO, at(3)))

    assert kept.gaps == []
    assert kept.share == pytest.approx(1 - 6 / 180)


def test_a_period_without_length_is_not_covered() -> None:
    assert measure_coverage(Lives(life("+")), Span(ZERO, ZERO)).share == 0


@given(st.lists(st.text("+-x ", min_size=1, max_size=12), max_size=4), st.integers(1, 12), st.integers(0, 11))
def test_covered_spans_and_gaps_make_up_the_period(lives: list[str], hours: int, since: int) -> None:
    beats = [beat for number, text in enumerate(lives) for beat in life(text, f"host:{number}")]
    period = Span(at(min(since, hours)), at(hours))
    kept = measure_coverage(Lives(beats), period)

    spans = sorted([*kept.covered, *kept.gaps])
    assert sum((span.length for span in spans), timedelta()) == period.length
    assert all(before.end == after.begin for before, after in pairwise(spans))
    assert 0 <= kept.share <= 1


# --- records


@pytest.mark.parametrize(
    ("beats", "records", "expected"),
    [
        ("+          ", [0.2, 0.9], [(0, 0.9)]),
        ("+-         ", [0.9], [(0, 1)]),
        ("+-         ", [2.6, 2.7], [(0, 1)]),  # the next heartbeat was due before
        ("+--    ---x", [2.9, 5], [(0, 2.9), (7, 10)]),
        ("+--+      x", [2.9], [(0, 2.9)]),  # killed and started again under the same name
        ("+--!------x", [2.9], [(0, 2), (3, 10)]),  # it lived, but other records were lost
        ("           ", [1, 2], []),
    ],
)
def test_a_record_proves_that_the_log_was_kept_until_then(
    beats: str, records: list[float], expected: list[tuple[float, float]]
) -> None:
    lines: list[Record] = [*life(beats), *(call(at(hours), instance="host:1") for hours in records)]
    found = aggregated(sorted(lines, key=lambda record: record.ts), latest=at(20)).lives

    spans = measure_coverage(found, Span(ZERO, at(10))).covered
    assert [((span.begin - ZERO) / HOUR, (span.end - ZERO) / HOUR) for span in spans] == expected


def test_a_record_proves_it_in_logs_with_the_newest_first_too() -> None:
    found = aggregated([call(at(0.9), instance="host:1"), call(at(0.2), instance="host:1"), *life("+")], latest=at(20))

    assert measure_coverage(found.lives, Span(ZERO, at(10))).covered == (Span(ZERO, at(0.9)),)


def test_a_record_proves_nothing_about_another_process() -> None:
    found = aggregated([*life("+"), call(at(0.9), instance="host:2"), call(at(0.8))], latest=at(20)).lives

    assert measure_coverage(found, Span(ZERO, at(10))).covered == ()


# --- silence, and when a window is covered


@given(st.lists(st.floats(0, 100), max_size=12), st.floats(-5, 105))
def test_silence_is_what_is_covered_since(ends: list[float], since: float) -> None:
    ends = sorted(set(ends))
    spans = tuple(Span(at(begin), at(end)) for begin, end in zip(ends[::2], ends[1::2], strict=False))
    coverage = Coverage(Span(at(0), at(100)), spans)

    expected = coverage.covered_seconds(Span(at(since), at(100)))
    assert coverage.silence_since()(at(since)) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("spans", "hours"),
    [
        ([(0, 100)], 100),
        ([(60, 100)], 109),
        ([(0, 90), (95, 100)], 144),
        ([(0, 90), (90.5, 100)], 100),
        ([(0, 60), (60.6, 90), (90.6, 100)], 110.2),
        ([(0, 40), (95, 100)], 144),
        ([], 149),
    ],
    ids=[
        "all of it",
        "the end",
        "before a gap",
        "but for less than is allowed",
        "but for two such gaps",
        "long ago",
        "nothing",
    ],
)
def test_the_date_on_which_a_window_is_covered(spans: list[tuple[float, float]], hours: float) -> None:
    coverage = Coverage(Span(at(0), at(100)), tuple(Span(at(begin), at(end)) for begin, end in spans))
    window = timedelta(hours=50)
    found = coverage.covered_at(window, 0.98)

    assert found == at(hours)
    kept = (*coverage.covered, Span(at(100), at(200)))
    later = Coverage(Span(at(0), at(200)), kept)
    assert later.covered_seconds(Span(found - window, found)) >= 0.98 * window.total_seconds() - 1e-3
