"""Brownouts by cron where the clocks change, in zones of each kind."""

from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise, takewhile
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest

from proxy.withdrawn.brownouts import Brownout, Recurring, Window
from proxy.withdrawn.lifecycle import Policy, PolicySubject, decide, planned_changes

FIRST, LAST = datetime(2027, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
MINUTE, HOUR, WEEK = timedelta(minutes=1), timedelta(hours=1), timedelta(weeks=1)
AROUND = 4 * HOUR

ZONES = [
    "Europe/Berlin",  # in the middle of the night
    "America/Santiago",  # at midnight, and in the south
    "America/Nuuk",  # on the evening before
    "Australia/Lord_Howe",  # by half an hour
    "Antarctica/Troll",  # by two hours
    "Pacific/Chatham",  # whose hours begin at a quarter past those of UTC
    "Africa/Casablanca",  # back first, and then forward, for a month
]


class Change(NamedTuple):
    """When the clocks of a zone change, and by how much."""

    at: datetime
    zone: ZoneInfo
    by: timedelta


def clock(moment: datetime, zone: ZoneInfo) -> datetime:
    """What the clocks of a zone show."""
    return moment.astimezone(zone).replace(tzinfo=None)


def offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return clock(moment, zone) - moment.replace(tzinfo=None)


def changes(zone: ZoneInfo) -> Iterator[Change]:
    """Compare weeks, and halve one in which the clocks change: no zone changes them twice in a week."""
    begins = [FIRST + n * WEEK for n in range((LAST - FIRST) // WEEK + 2)]
    offsets = [offset(begin, zone) for begin in begins]
    for begin, (before, after) in zip(begins, pairwise(offsets), strict=False):
        if before != after:
            minutes = range(WEEK // MINUTE)
            minute = bisect_left(minutes, True, key=lambda n: offset(begin + n * MINUTE, zone) != before)
            yield Change(begin + minute * MINUTE, zone, after - before)


def all_changes() -> list[Change]:
    return [change for name in ZONES for change in changes(ZoneInfo(name))]


CHANGES = all_changes()
NAMES = [f"{change.zone.key} {change.at:%Y-%m-%d}" for change in CHANGES]


def times(change: Change) -> list[datetime]:
    """Times of the clock at which something could go wrong: in and around what is left out or repeated."""
    after = clock(change.at, change.zone)
    first, last = sorted([after, after - change.by])
    return [first - MINUTE, first, first + (last - first) / 3, last - MINUTE, last, last + 20 * MINUTE]


def moments(change: Change) -> list[datetime]:
    return [change.at + n * MINUTE for n in range(int(-AROUND / MINUTE), int(AROUND / MINUTE))]


def begin_of(time: datetime, change: Change) -> datetime:
    """The first moment at which the clocks show this time, or a later one."""
    return next(moment for moment in moments(change) if clock(moment, change.zone) >= time)


def windows(planned: Recurring, since: datetime, until: datetime) -> list[Window]:
    return list(takewhile(lambda window: window.begin < until, planned.after(since)))


def cron(time: datetime) -> str:
    return f"{time.minute} {time.hour} {time.day} {time.month} *"


def test_there_are_changes_of_each_kind() -> None:
    assert {change.by for change in CHANGES} == {HOUR, -HOUR, HOUR / 2, -HOUR / 2, 2 * HOUR, -2 * HOUR}
    assert len(CHANGES) == 2 * len(ZONES)


@pytest.mark.parametrize("change", CHANGES, ids=NAMES)
def test_a_window_is_whole_and_begins_once(change: Change) -> None:
    for time in times(change):
        for duration in (10 * MINUTE, 150 * MINUTE):
            planned = Recurring(cron(time), duration, change.zone)
            expected = Window(begin := begin_of(time, change), begin + duration)

            assert windows(planned, change.at - AROUND, change.at + AROUND) == [expected], time
            for moment in moments(change)[::5]:
                found = expected if expected.begin <= moment < expected.end else None
                assert planned.at(moment) == found, (time, moment)
            for edge, is_open in ((expected.begin, True), (expected.end, False)):
                assert (planned.at(edge) is not None) is is_open
                assert (planned.at(edge - timedelta(microseconds=1)) is not None) is not is_open


@pytest.mark.parametrize("change", CHANGES, ids=NAMES)
def test_the_gateway_and_check_agree(change: Change) -> None:
    for time in times(change):
        policy = Policy(brownouts=(Brownout(Recurring(cron(time), 40 * MINUTE, change.zone)),))
        [coming] = [one for one in planned_changes(policy, change.at - AROUND, 1) if one.at < change.at + AROUND]
        for moment in moments(change)[::7]:
            refusal = decide(policy, PolicySubject("nightly"), moment).refusal
            assert (refusal.until if refusal is not None else None) == (
                coming.until if coming.until is not None and coming.at <= moment < coming.until else None
            )


@pytest.mark.parametrize("change", CHANGES, ids=NAMES)
@pytest.mark.parametrize("minute", [0, 20, 45])
def test_a_window_of_every_hour_begins_whenever_the_clocks_show_its_minute(change: Change, minute: int) -> None:
    planned = Recurring(f"{minute} * * * *", 10 * MINUTE, change.zone)
    expected = [moment for moment in moments(change)[1:] if clock(moment, change.zone).minute == minute]

    assert [window.begin for window in windows(planned, change.at - AROUND, change.at + AROUND)] == expected
    for moment in moments(change)[60:-60:5]:
        assert next(planned.after(moment)).begin == next(begin for begin in expected if begin > moment)
        begins = [begin for begin in expected if begin <= moment < begin + 10 * MINUTE]
        assert planned.at(moment) == (Window(begins[-1], begins[-1] + 10 * MINUTE) if begins else None)


BERLIN = ZoneInfo("Europe/Berlin")


def begins(expression: str, day: str, zone: ZoneInfo = BERLIN) -> list[str]:
    """When windows begin in the first five hours of a day, in UTC."""
    since = datetime.fromisoformat(day).replace(tzinfo=zone).astimezone(UTC)
    found = windows(Recurring(expression, MINUTE, zone), since - timedelta(seconds=1), since + 5 * HOUR)
    return [f"{window.begin:%H:%M:%S}" for window in found]


@pytest.mark.parametrize(
    ("expression", "day", "expected"),
    [
        # On 29 March 2026 two o'clock is three o'clock.
        ("0,30 2 * * *", "2026-03-29", ["01:00:00"]),
        ("30 2,3 * * *", "2026-03-29", ["01:00:00", "01:30:00"]),
        ("30 30 2 * * *", "2026-03-29", ["01:00:00"]),
        ("*/20 2 * * *", "2026-03-29", ["01:00:00"]),
        ("0 */2 * * *", "2026-03-29", ["23:00:00", "01:00:00", "02:00:00"]),
        # On 25 October 2026 it is half past two at 00:30 and at 01:30.
        ("30 2 * * *", "2026-10-25", ["00:30:00"]),
        ("15 30 2 * * *", "2026-10-25", ["00:30:15"]),
        ("*/20 2 * * *", "2026-10-25", ["00:00:00", "00:20:00", "00:40:00"]),
        ("0 */2 25 10 *", "2026-10-25", ["22:00:00", "00:00:00"]),
        ("30 0-23 * * *", "2026-10-25", ["22:30:00", "23:30:00", "00:30:00", "01:30:00", "02:30:00"]),
        ("45 15 * * * *", "2026-10-25", ["22:15:45", "23:15:45", "00:15:45", "01:15:45", "02:15:45"]),
    ],
)
def test_what_is_left_out_begins_at_once_and_what_is_repeated_begins_once_unless_it_is_hourly(
    expression: str, day: str, expected: list[str]
) -> None:
    assert begins(expression, day) == expected


def test_the_next_windows_can_be_far_away() -> None:
    planned = Recurring("30 1 29 2 *", HOUR, ZoneInfo("America/New_York"))

    assert next(planned.after(datetime(2026, 11, 1, tzinfo=UTC))).begin == datetime(2028, 2, 29, 6, 30, tzinfo=UTC)
    assert planned.at(datetime(2032, 2, 29, 7, 29, tzinfo=UTC)) is not None
