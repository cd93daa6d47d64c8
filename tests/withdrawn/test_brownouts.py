from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.withdrawn.brownouts import Brownout, Once, Recurring, Window, cron_problem
from tests.support.examples import examples

TICK = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> datetime:
    """A time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


ONCE = Once(Window(at("2026-12-01T10:00"), at("2026-12-01T10:10")))
MONDAYS = Recurring("0 12 * * MON", timedelta(minutes=10), BERLIN)


@pytest.mark.parametrize(
    ("now", "is_open"),
    [
        (at("2026-12-01T10:00") - TICK, False),
        (at("2026-12-01T10:00"), True),
        (at("2026-12-01T10:10") - TICK, True),
        (at("2026-12-01T10:10"), False),
    ],
)
def test_a_single_window_begins_with_its_first_moment_and_ends_before_its_last(now: datetime, is_open: bool) -> None:
    assert ONCE.at(now) == (ONCE.window if is_open else None)


@pytest.mark.parametrize(
    ("now", "begin"),
    [
        ("2026-11-23T10:59:59.999999", None),
        ("2026-11-23T11:00:00", "2026-11-23T11:00"),
        ("2026-11-23T11:09:59.999999", "2026-11-23T11:00"),
        ("2026-11-23T11:10:00", None),
        ("2026-11-24T11:05:00", None),
        ("2026-07-06T10:05:00", "2026-07-06T10:00"),  # summer time
        ("2026-07-06T11:05:00", None),
    ],
)
def test_a_recurring_window_is_by_the_clock_of_its_zone(now: str, begin: str | None) -> None:
    window = Window(at(begin), at(begin) + timedelta(minutes=10)) if begin is not None else None
    assert MONDAYS.at(at(now)) == window


def test_the_zone_of_the_present_does_not_matter() -> None:
    now = at("2026-11-23T11:05")
    assert MONDAYS.at(now.astimezone(ZoneInfo("Asia/Tokyo"))) == MONDAYS.at(now) is not None


@pytest.mark.parametrize(
    ("cron", "zone", "duration", "now", "begin"),
    [
        # On 29 March 2026 the clocks of Berlin go from two to three.
        ("30 2 * * *", BERLIN, HOUR, "2026-03-29T01:00", "2026-03-29T01:00"),
        ("30 2 * * *", BERLIN, HOUR, "2026-03-29T00:59:59", None),
        ("0 3 * * *", BERLIN, HOUR, "2026-03-29T01:30", "2026-03-29T01:00"),
        # On 25 October 2026 they go from three back to two: half past two comes at 00:30 and at 01:30 UTC.
        ("30 2 * * *", BERLIN, timedelta(minutes=10), "2026-10-25T00:35", "2026-10-25T00:30"),
        ("30 2 * * *", BERLIN, timedelta(minutes=10), "2026-10-25T01:35", None),
        ("0 12 29 2 *", UTC, HOUR, "2028-02-29T12:59", "2028-02-29T12:00"),
        ("0 12 29 2 *", UTC, HOUR, "2027-03-01T12:30", None),
        ("50 23 * * *", UTC, timedelta(minutes=20), "2026-12-31T23:55", "2026-12-31T23:50"),
        ("50 23 * * *", UTC, timedelta(minutes=20), "2027-01-01T00:09:59", "2026-12-31T23:50"),
        ("50 23 * * *", UTC, timedelta(minutes=20), "2027-01-01T00:10", None),
        ("0 0 * * *", UTC, timedelta(hours=30), "2027-01-02T05:00", "2027-01-02T00:00"),  # the later of two
        ("*/30 * * * * *", UTC, timedelta(seconds=10), "2027-01-01T00:00:39.9", "2027-01-01T00:00:30"),
        ("*/30 * * * * *", UTC, timedelta(seconds=10), "2027-01-01T00:00:40", None),
    ],
)
def test_recurring_windows_over_hours_that_clocks_leave_out_or_repeat_leap_days_and_midnight(
    cron: str, zone: ZoneInfo, duration: timedelta, now: str, begin: str | None
) -> None:
    window = Window(at(begin), at(begin) + duration) if begin is not None else None
    assert Recurring(cron, duration, zone).at(at(now)) == window


def test_a_window_that_lasts_over_a_change_of_the_clocks_lasts_as_long_as_it_says() -> None:
    window = Recurring("0 1 * * *", timedelta(hours=3), BERLIN).at(at("2026-03-29T00:30"))

    assert window == Window(at("2026-03-29T00:00"), at("2026-03-29T03:00"))


def test_the_windows_to_come_begin_after_now() -> None:
    begins = [window.begin for window in islice(MONDAYS.after(at("2026-10-19T10:00")), 3)]

    assert begins == [at("2026-10-26T11:00"), at("2026-11-02T11:00"), at("2026-11-09T11:00")]
    assert next(MONDAYS.after(at("2026-10-19T10:00") - TICK)).begin == at("2026-10-19T10:00")
    assert list(ONCE.after(ONCE.window.begin)) == []
    assert list(ONCE.after(ONCE.window.begin - TICK)) == [ONCE.window]


@settings(deadline=None, max_examples=examples(50))
@given(st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)))
def test_the_window_that_is_open_is_one_that_was_to_come(now: datetime) -> None:
    daily = Recurring("15 2 * * *", timedelta(hours=6), BERLIN)
    coming = [window for window in islice(daily.after(now - timedelta(days=2)), 4) if window.begin <= now < window.end]

    assert ([daily.at(now)] if daily.at(now) else []) == coming


def test_a_clock_that_steps_back_sees_the_same_windows_again() -> None:
    moments = [at("2026-11-23T11:05"), at("2026-11-23T11:15"), at("2026-11-23T11:05"), at("2026-11-23T10:59")]

    assert [MONDAYS.at(moment) is not None for moment in moments] == [True, False, True, False]


@pytest.mark.parametrize(
    ("callers", "exempt", "name", "owner", "hits"),
    [
        ((), (), "nightly", None, True),
        (("nightly",), (), "nightly", None, True),
        (("nightly",), (), "nightly-2", None, False),
        (("night*",), (), "nightly-2", None, True),
        (("team-a",), (), "nightly", "team-a", True),
        (("team-a",), (), "nightly", "team-b", False),
        (("team-a",), (), "nightly", None, False),
        ((), ("nightly",), "nightly", None, False),
        ((), ("team-*",), "nightly", "team-a", False),
        (("team-a",), ("nightly",), "nightly", "team-a", False),
        (("team-a",), ("nightly",), "weekly", "team-a", True),
        (("token:*",), (), "token:0123", None, True),
        (("Nightly",), (), "nightly", None, False),
    ],
)
def test_a_brownout_hits_whom_it_names_by_name_or_owner_but_those_it_spares(
    callers: tuple[str, ...], exempt: tuple[str, ...], name: str, owner: str | None, hits: bool
) -> None:
    assert Brownout(ONCE, callers, exempt).affects(name, owner) is hits


@pytest.mark.parametrize("cron", ["0 12 * * MON", "*/5 * * * *", "0 0 1 JAN *", "30 0 12 * * MON", "0 0 29 2 *"])
def test_a_cron_expression_that_can_be_used_has_no_problem(cron: str) -> None:
    assert cron_problem(cron) is None


@pytest.mark.parametrize("cron", ["", "x", "0 12 * *", "61 * * * *", "0 0 30 2 *", "@daily", "* * */20 * 1L"])
def test_what_is_wrong_with_a_cron_expression_is_said(cron: str) -> None:
    assert cron_problem(cron)
