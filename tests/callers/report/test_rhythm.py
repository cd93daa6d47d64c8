from datetime import date

import pytest

from proxy.callers.report.rhythm import (
    DAY,
    FIRST_DAY,
    HOUR,
    Rhythm,
    State,
    interval_of,
    mixed_rhythm,
    rhythm_of,
    state_after,
)

MONDAY = date(2026, 11, 2).toordinal() * 24
NIGHTLY = [MONDAY + 24 * day for day in range(30)]
MONTHLY = [MONDAY + 24 * day for day in (0, 30, 61, 91)]
WORKING_HOURS = [MONDAY + 24 * day + hour for day in range(26) if day % 7 < 5 for hour in range(8, 18)]
BEGIN = date(2026, 1, 5).toordinal() - FIRST_DAY


@pytest.mark.parametrize(
    ("hours", "calls", "interval"),
    [
        (NIGHTLY, 30, DAY),
        (NIGHTLY, 3000, DAY),  # a hundred calls a night are a night's work
        (MONTHLY, 4, 30 * DAY),
        (WORKING_HOURS, len(WORKING_HOURS), HOUR),
        (range(MONDAY, MONDAY + 50), 600, HOUR / 12),  # every five minutes
        ([MONDAY, MONDAY + 24 * 7], 2, 7 * DAY),
        ([MONDAY], 40, None),
    ],
    ids=["nightly", "nightly matrix", "monthly", "working hours", "every five minutes", "twice", "one burst"],
)
def test_the_interval_is_the_one_that_a_person_would_name(hours: list[int], calls: int, interval: float | None) -> None:
    assert interval_of(hours, calls) == interval


def test_the_order_of_the_hours_does_not_matter() -> None:
    assert interval_of(reversed(MONTHLY), 4) == interval_of(MONTHLY, 4)


def days(*numbers: int) -> int:
    """These days, as bits."""
    return sum(1 << BEGIN + number for number in set(numbers))


WEEKDAYS = [day for day in range(100) if day % 7 < 5]
MONTH_ENDS = [month + day for month in (0, 31, 59, 90) for day in range(4)]


@pytest.mark.parametrize(
    ("called", "pause", "retired_after", "is_known"),
    [
        (days(*range(60)), 3, 32.5, True),
        (days(*range(32)), 3, 32.5, True),
        (days(*range(31)), 3, 62, False),
        (days(*WEEKDAYS), 3, 32.5, True),
        (days(*WEEKDAYS[:30], *(day + 63 for day in WEEKDAYS)), 24, 32.5, True),
        (days(*range(0, 70, 7)), 7, 41.5, True),
        (days(*range(0, 70, 7), *range(91, 200, 7)), 28, 41.5, True),
        (days(*range(0, 98, 14)), 14, 52, True),
        (days(0, 30, 61, 91), 31, 76, True),
        (days(0, 35), 35, 83.5, False),
        (days(0, 92), 92, 169, False),
        (days(0, 92, 183), 92, 169, True),
        (days(0), 3, 62, False),
        (days(0, 1, 2, 3), 3, 62, False),
        (days(*MONTH_ENDS), 28, 73, True),
        (days(*range(70), 130), 61, 68, True),
    ],
    ids=[
        "nightly",
        "nightly for over a month",
        "nightly for a month",
        "weekdays",
        "weekdays and a holiday",
        "weekly",
        "weekly and a holiday",
        "fortnightly",
        "monthly",
        "two first Mondays",
        "two quarters",
        "quarterly",
        "once",
        "four days at the end of one month",
        "four days at the end of each month",
        "nightly, and once more after two months",
    ],
)
def test_a_job_is_retired_by_its_own_rhythm(called: int, pause: float, retired_after: float, is_known: bool) -> None:
    assert rhythm_of(called) == (pause * DAY, retired_after * DAY, is_known)


@pytest.mark.parametrize("called", [days(0), days(*range(60)), days(0, 92, 183), days(*MONTH_ENDS), days(0, 1, 200)])
@pytest.mark.parametrize("other", [days(3), days(*range(7, 90)), days(200)])
def test_jobs_that_are_not_told_apart_are_never_retired_earlier_than_each_of_them(called: int, other: int) -> None:
    apart = max(rhythm_of(called).retired_after, rhythm_of(other).retired_after)

    assert mixed_rhythm(called | other).retired_after >= apart


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (0, "active"),
        (10, "active"),
        (10.01, "fading"),
        (20, "fading"),
        (20.01, "quiet"),
        (30, "quiet"),
        (30.01, "retired"),
    ],
)
def test_a_state_begins_right_after_its_boundary(days: float, expected: State) -> None:
    assert state_after(Rhythm(10 * DAY, 30 * DAY, is_known=True), days * DAY) == expected


def test_a_monthly_job_is_active_after_ten_silent_days() -> None:
    assert state_after(rhythm_of(days(0, 30, 61, 91)), 10 * DAY) == "active"
    assert state_after(rhythm_of(days(0)), 10 * DAY) == "quiet"
