from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from proxy.callers.plan.forecast import CallerStatus, UpcomingChange, current_phase, forecast
from proxy.callers.plan.upcoming import upcoming_lines
from proxy.withdrawn.brownouts import Brownout, Once, Recurring, Window
from proxy.withdrawn.lifecycle import Policy, PolicySubject

TICK = timedelta(microseconds=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BERLIN, KOLKATA = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata")
NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
SUNSET = datetime(2027, 1, 1, tzinfo=UTC)


def once(begin: datetime, length: timedelta = HOUR, *callers: str, exempt: tuple[str, ...] = ()) -> Brownout:
    return Brownout(Once(Window(begin, begin + length)), callers, exempt)


def who(
    name: str, owner: str | None = None, *, migrated: datetime | None = None, extension: datetime | None = None
) -> CallerStatus:
    return CallerStatus(PolicySubject(name, owner, migrated, extension), "active", NOW - DAY)


NIGHTLY, SMOKE = who("nightly", owner="team-a"), who("smoke")
MOVED = who("moved", migrated=NOW - DAY)
LATE = who("late", extension=SUNSET + 30 * DAY)
NEW = CallerStatus(PolicySubject("new", is_new=True))
EVERYBODY = [NIGHTLY, SMOKE, MOVED, LATE, NEW]

Told = list[tuple[datetime, str, set[str]]]


def told(coming: list[UpcomingChange]) -> Told:
    return [(one.change.at, one.change.kind, {caller.party.name for caller in one.affected}) for one in coming]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (Policy(), []),
        (Policy(deprecated=NOW + DAY), [(NOW + DAY, "deprecated", {"nightly", "smoke", "late", "new"})]),
        (Policy(freeze=NOW + DAY), [(NOW + DAY, "freeze", {"new"})]),
        (
            Policy(sunset=SUNSET),
            [(SUNSET, "sunset", {"nightly", "smoke", "new"}), (SUNSET + 30 * DAY, "extension", {"late"})],
        ),
        (
            Policy(sunset=SUNSET, freeze=SUNSET),
            [
                (SUNSET, "freeze", set()),
                (SUNSET, "sunset", {"nightly", "smoke", "new"}),
                (SUNSET + 30 * DAY, "extension", {"late"}),
            ],
        ),
        (Policy(brownouts=(once(NOW + DAY, HOUR, "nightly"),)), [(NOW + DAY, "brownout", {"nightly"})]),
        (Policy(brownouts=(once(NOW + DAY, HOUR, "team-*"),)), [(NOW + DAY, "brownout", {"nightly"})]),
        (Policy(brownouts=(once(NOW + DAY, HOUR, "nobody"),)), [(NOW + DAY, "brownout", set())]),
        (
            Policy(brownouts=(once(NOW + DAY, exempt=("team-a", "new")),)),
            [(NOW + DAY, "brownout", {"smoke", "late"})],
        ),
        (
            Policy(freeze=NOW - DAY, brownouts=(once(NOW + DAY),)),
            [(NOW + DAY, "brownout", {"nightly", "smoke", "late"})],
        ),
    ],
)
def test_each_change_hits_those_who_can_still_call(policy: Policy, expected: Told) -> None:
    assert told(forecast(policy, EVERYBODY, NOW)) == expected


@pytest.mark.parametrize(
    ("now", "kinds"),
    [
        (NOW - TICK, ["deprecated"]),
        (NOW, []),
        (NOW + TICK, []),
    ],
)
def test_what_begins_now_is_not_to_come(now: datetime, kinds: list[str]) -> None:
    assert [kind for _, kind, _ in told(forecast(Policy(deprecated=NOW), [NIGHTLY], now))] == kinds


@pytest.mark.parametrize(
    ("begin", "hit"),
    [
        (SUNSET - TICK, {"nightly", "late"}),
        (SUNSET, {"late"}),
        (SUNSET + 30 * DAY - TICK, {"late"}),
    ],
)
def test_a_window_about_the_sunset_hits_who_is_not_refused_by_then(begin: datetime, hit: set[str]) -> None:
    policy = Policy(sunset=SUNSET, brownouts=(once(begin),))

    [found] = [one for one in told(forecast(policy, [NIGHTLY, LATE], NOW)) if one[1] == "brownout"]

    assert found == (begin, "brownout", hit)


@pytest.mark.parametrize(("begin", "there"), [(SUNSET - TICK, True), (SUNSET, False)])
def test_a_window_after_the_end_for_all_is_no_change(begin: datetime, there: bool) -> None:
    policy = Policy(sunset=SUNSET, brownouts=(once(begin),))

    assert ("brownout" in [kind for _, kind, _ in told(forecast(policy, [NIGHTLY], NOW))]) is there


def test_windows_that_come_again_do_not_go_on_after_the_last_extension() -> None:
    weekly = Brownout(Recurring("0 12 * * MON", HOUR, UTC))
    policy = Policy(sunset=SUNSET, brownouts=(weekly,))

    assert told(forecast(policy, [NIGHTLY, LATE], SUNSET + 27 * DAY)) == [(SUNSET + 30 * DAY, "extension", {"late"})]
    assert told(forecast(policy, [NIGHTLY, LATE], SUNSET + 40 * DAY)) == []


def test_those_who_move_at_one_time_are_one_change_in_its_place() -> None:
    day = NOW + DAY
    movers = [
        who("now", migrated=NOW),
        who("a", migrated=day),
        who("b", migrated=day),
        who("c", migrated=day + DAY),
        MOVED,
    ]
    policy = Policy(sunset=SUNSET, brownouts=(once(day + HOUR),))

    assert told(forecast(policy, movers, NOW)) == [
        (day, "migrated", {"a", "b"}),
        (day + HOUR, "brownout", {"c"}),
        (day + DAY, "migrated", {"c"}),
        (SUNSET, "sunset", set()),
    ]


def test_a_date_of_its_own_after_the_end_is_no_change() -> None:
    assert [kind for _, kind, _ in told(forecast(Policy(sunset=SUNSET), [who("a", migrated=SUNSET + DAY)], NOW))] == [
        "sunset"
    ]


def test_an_extension_without_a_sunset_is_none() -> None:
    assert forecast(Policy(), [LATE], NOW) == []


def test_no_more_than_five_are_told_and_the_first_ones() -> None:
    policy = Policy(sunset=SUNSET, brownouts=(Brownout(Recurring("0 * * * *", timedelta(minutes=1), UTC)),))
    found = told(forecast(policy, [NIGHTLY, who("a", migrated=NOW + 90 * timedelta(minutes=1))], NOW))

    assert [(at - NOW, kind) for at, kind, _ in found] == [
        (HOUR, "brownout"),
        (1.5 * HOUR, "migrated"),
        (2 * HOUR, "brownout"),
        (3 * HOUR, "brownout"),
        (4 * HOUR, "brownout"),
    ]


@pytest.mark.parametrize(
    ("now", "utc"),
    [
        (datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 3, 29, 10, tzinfo=UTC)),
        (datetime(2026, 3, 27, 12, tzinfo=UTC), datetime(2026, 3, 28, 11, tzinfo=UTC)),
        (datetime(2026, 10, 24, 12, tzinfo=UTC), datetime(2026, 10, 25, 11, tzinfo=UTC)),
        (datetime(2026, 10, 23, 12, tzinfo=UTC), datetime(2026, 10, 24, 10, tzinfo=UTC)),
    ],
)
def test_a_window_by_a_clock_follows_summer_time(now: datetime, utc: datetime) -> None:
    policy = Policy(brownouts=(Brownout(Recurring("0 12 * * *", HOUR, BERLIN)),))

    assert forecast(policy, [NIGHTLY], now)[0].change.at == utc


# --- how far it has come


@pytest.mark.parametrize(
    ("now", "phase", "since"),
    [
        (NOW - TICK, "announced", None),
        (NOW, "deprecated", NOW),
        (SUNSET - TICK, "deprecated", NOW),
        (SUNSET, "sunset", SUNSET),
    ],
)
def test_the_phase_now(now: datetime, phase: str, since: datetime | None) -> None:
    assert current_phase(Policy(NOW, SUNSET), [NIGHTLY], now)[:2] == (phase, since)


@pytest.mark.parametrize(
    ("now", "hit"),
    [
        (NOW - TICK, None),
        (NOW, {"nightly", "new"}),
        (NOW + 10 * HOUR - TICK, {"nightly", "new"}),
        (NOW + 10 * HOUR, None),
    ],
)
def test_windows_that_are_open_are_told_with_whom_they_hit(now: datetime, hit: set[str] | None) -> None:
    policy = Policy(brownouts=(once(NOW, 10 * HOUR, "n*"),))
    under_way = [
        {caller.party.name for caller in coming.affected}
        for coming in current_phase(policy, [*EVERYBODY], now).brownouts
    ]

    assert under_way == ([hit] if hit is not None else [])


def test_a_window_that_is_open_at_the_sunset_is_over_then() -> None:
    policy = Policy(sunset=SUNSET, brownouts=(once(SUNSET - HOUR, 2 * HOUR),))

    assert len(current_phase(policy, [NIGHTLY], SUNSET - TICK).brownouts) == 1
    assert current_phase(policy, [NIGHTLY], SUNSET).brownouts == ()


# --- the same, as lines


def lines(policy: Policy, callers: list[CallerStatus], zone: ZoneInfo, *, has_log: bool = True) -> list[str]:
    found = current_phase(policy, callers, NOW), forecast(policy, callers, NOW)
    return list(upcoming_lines(*found, NOW, zone, has_log=has_log))


def test_lines_have_the_times_of_all_three_clocks_and_the_way_there() -> None:
    overnight = Brownout(Recurring("30 59 23 * * *", timedelta(minutes=10, seconds=5), BERLIN), ("nightly",))

    assert lines(Policy(NOW - DAY, brownouts=(overnight,)), EVERYBODY, KOLKATA)[:3] == [
        "phase: deprecated, since 2026-11-23 08:00 UTC",
        "in 14h 59m, 2026-11-24 22:59:30 UTC, 2026-11-25 04:29:30 IST, 2026-11-24 23:59:30 CET: "
        "brownout until 2026-11-24 23:09:35 UTC, for 10m 5s",
        "  affects nightly",
    ]


@pytest.mark.parametrize(
    ("zone", "clocks"),
    [
        (ZoneInfo("UTC"), "2026-07-01 10:00 UTC, 2026-07-01 12:00 CEST:"),
        (BERLIN, "2026-07-01 10:00 UTC, 2026-07-01 12:00 CEST:"),
        (ZoneInfo("Africa/Windhoek"), "2026-07-01 10:00 UTC, 2026-07-01 12:00 CAT:"),
        (ZoneInfo("Pacific/Kiritimati"), "2026-07-01 10:00 UTC, 2026-07-02 00:00 +14, 2026-07-01 12:00 CEST:"),
    ],
)
def test_a_clock_that_shows_the_same_is_told_once(zone: ZoneInfo, clocks: str) -> None:
    noon = Brownout(Recurring("0 12 1 7 *", HOUR, BERLIN))
    now = datetime(2026, 6, 30, 10, tzinfo=UTC)
    policy = Policy(brownouts=(noon,))
    [_, line, *_] = upcoming_lines(
        current_phase(policy, [], now), forecast(policy, [], now, 1), now, zone, has_log=True
    )

    assert line.startswith(f"in 1d, {clocks}")


@pytest.mark.parametrize(
    ("callers", "has_log", "whom"),
    [
        ([], True, "nobody in the log"),
        ([], False, "no known caller"),
        ([NEW], True, "nobody in the log; new (never called)"),
        ([NEW], False, "new"),
        ([NEW, NIGHTLY], True, "nightly, new (never called)"),
        ([CallerStatus(PolicySubject("gone"), "retired", NOW), SMOKE], True, "smoke, gone (retired)"),
        ([who(letter) for letter in "abcdefghij"], True, "a, b, c, d, e, f, g, h, i, j"),
        ([who(letter) for letter in "abcdefghijkl"], True, "a, b, c, d, e, f, g, h, i, j, and 2 more"),
        ([who("a\n\x1b[31m# b")], True, "a\\u000a\\u001b[31m# b"),
    ],
)  # fmt: skip
def test_a_line_names_whom_a_change_hits(callers: list[CallerStatus], has_log: bool, whom: str) -> None:
    assert lines(Policy(sunset=SUNSET), callers, KOLKATA, has_log=has_log)[-1] == f"  affects {whom}"


def test_a_brownout_under_way_says_how_long_it_takes_yet() -> None:
    under_way = once(NOW - HOUR, HOUR + timedelta(seconds=10), "nightly")

    assert lines(Policy(brownouts=(under_way,)), EVERYBODY, ZoneInfo("UTC")) == [
        "phase: announced",
        "now: brownout until 2026-11-24 08:00:10 UTC, for another 10s",
        "  affects nightly",
        "nothing else is planned",
    ]
