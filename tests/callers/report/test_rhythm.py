from datetime import date

import pytest

from proxy.callers.report.rhythm import (
    DAY,
    HOUR,
    RETIRED_AFTER,
    SHORTEST_PAUSE,
    UNKNOWN_RETIRED_AFTER,
    Rhythm,
    State,
    rhythm_of,
    state_after,
)

MONDAY = date(2026, 11, 2).toordinal() * 24
NIGHTLY = [MONDAY + 24 * day for day in range(30)]
MONTHLY = [MONDAY + 24 * day for day in (0, 30, 61, 91)]
WORKING_HOURS = [MONDAY + 24 * day + hour for day in range(26) if day % 7 < 5 for hour in range(8, 18)]


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
    assert rhythm_of(hours, calls).interval == interval


def test_the_order_in_which_hours_are_known_does_not_matter() -> None:
    assert rhythm_of(reversed(MONTHLY), 4) == rhythm_of(MONTHLY, 4)


@pytest.mark.parametrize(
    ("hours", "pause", "retired_after"),
    [
        (NIGHTLY, SHORTEST_PAUSE, RETIRED_AFTER),
        (WORKING_HOURS, SHORTEST_PAUSE, RETIRED_AFTER),
        (MONTHLY, 31 * DAY, 93 * DAY),
        (NIGHTLY[:4], SHORTEST_PAUSE, RETIRED_AFTER),
        (NIGHTLY[:3], SHORTEST_PAUSE, UNKNOWN_RETIRED_AFTER),
        ([MONDAY, MONDAY + 1, MONDAY + 2, MONDAY + 3], SHORTEST_PAUSE, UNKNOWN_RETIRED_AFTER),  # one day
        ([MONDAY, MONDAY + 24 * 25], 25 * DAY, 75 * DAY),
        ([*NIGHTLY, NIGHTLY[-1] + 24 * 6], 6 * DAY, 18 * DAY),
    ],
    ids=["nightly", "working hours", "monthly", "four days", "three days", "one day", "two", "a holiday"],
)
def test_who_has_been_silent_before_may_be_silent_for_as_long_again(
    hours: list[int], pause: float, retired_after: float
) -> None:
    assert rhythm_of(hours, len(hours))[1:] == (pause, retired_after)


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
    assert state_after(Rhythm(DAY, 10 * DAY, 30 * DAY), days * DAY) == expected


def test_a_monthly_job_is_not_gone_after_ten_quiet_days() -> None:
    assert state_after(rhythm_of(MONTHLY, 4), 10 * DAY) == "active"
    assert state_after(rhythm_of(MONTHLY[:1], 1), 10 * DAY) == "quiet"
