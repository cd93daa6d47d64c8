from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from proxy.callers.plan.forecast import UpcomingChange, current_phase, forecast
from proxy.withdrawn.brownouts import Brownout, Recurring
from proxy.withdrawn.lifecycle import Policy
from tests.callers.plan.statuses import DAY, EVERYBODY, HOUR, LATE, MOVED, NIGHTLY, NOW, SUNSET, status
from tests.callers.policies import once

TICK = timedelta(microseconds=1)
BERLIN = ZoneInfo("Europe/Berlin")

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
def test_a_change_affects_callers_that_are_not_refused_before(policy: Policy, expected: Told) -> None:
    assert told(forecast(policy, EVERYBODY, NOW)) == expected


@pytest.mark.parametrize(
    ("now", "kinds"),
    [
        (NOW - TICK, ["deprecated"]),
        (NOW, []),
        (NOW + TICK, []),
    ],
)
def test_a_change_at_this_moment_is_not_upcoming(now: datetime, kinds: list[str]) -> None:
    assert [kind for _, kind, _ in told(forecast(Policy(deprecated=NOW), [NIGHTLY], now))] == kinds


@pytest.mark.parametrize(
    ("begin", "hit"),
    [
        (SUNSET - TICK, {"nightly", "late"}),
        (SUNSET, {"late"}),
        (SUNSET + 30 * DAY - TICK, {"late"}),
    ],
)
def test_a_brownout_around_the_sunset_affects_callers_not_refused_by_then(begin: datetime, hit: set[str]) -> None:
    policy = Policy(sunset=SUNSET, brownouts=(once(begin),))

    [found] = [one for one in told(forecast(policy, [NIGHTLY, LATE], NOW)) if one[1] == "brownout"]

    assert found == (begin, "brownout", hit)


@pytest.mark.parametrize(("begin", "there"), [(SUNSET - TICK, True), (SUNSET, False)])
def test_a_brownout_after_the_last_sunset_is_left_out(begin: datetime, there: bool) -> None:
    policy = Policy(sunset=SUNSET, brownouts=(once(begin),))

    assert ("brownout" in [kind for _, kind, _ in told(forecast(policy, [NIGHTLY], NOW))]) is there


def test_recurring_brownouts_end_with_the_last_extension() -> None:
    weekly = Brownout(Recurring("0 12 * * MON", HOUR, UTC))
    policy = Policy(sunset=SUNSET, brownouts=(weekly,))

    assert told(forecast(policy, [NIGHTLY, LATE], SUNSET + 27 * DAY)) == [(SUNSET + 30 * DAY, "extension", {"late"})]
    assert told(forecast(policy, [NIGHTLY, LATE], SUNSET + 40 * DAY)) == []


def test_migrations_at_the_same_time_are_one_change() -> None:
    day = NOW + DAY
    movers = [
        status("now", migrated=NOW),
        status("a", migrated=day),
        status("b", migrated=day),
        status("c", migrated=day + DAY),
        MOVED,
    ]
    policy = Policy(sunset=SUNSET, brownouts=(once(day + HOUR),))

    assert told(forecast(policy, movers, NOW)) == [
        (day, "migrated", {"a", "b"}),
        (day + HOUR, "brownout", {"c"}),
        (day + DAY, "migrated", {"c"}),
        (SUNSET, "sunset", set()),
    ]


def test_a_migration_after_the_sunset_is_left_out() -> None:
    assert [
        kind for _, kind, _ in told(forecast(Policy(sunset=SUNSET), [status("a", migrated=SUNSET + DAY)], NOW))
    ] == ["sunset"]


def test_an_extension_without_a_sunset_has_no_effect() -> None:
    assert forecast(Policy(), [LATE], NOW) == []


def test_only_the_first_five_changes_are_shown() -> None:
    policy = Policy(sunset=SUNSET, brownouts=(Brownout(Recurring("0 * * * *", timedelta(minutes=1), UTC)),))
    found = told(forecast(policy, [NIGHTLY, status("a", migrated=NOW + 90 * timedelta(minutes=1))], NOW))

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
def test_a_recurring_brownout_follows_daylight_saving_time(now: datetime, utc: datetime) -> None:
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
def test_the_current_phase(now: datetime, phase: str, since: datetime | None) -> None:
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
def test_brownouts_in_progress_have_their_affected_callers(now: datetime, hit: set[str] | None) -> None:
    policy = Policy(brownouts=(once(NOW, 10 * HOUR, "n*"),))
    under_way = [
        {caller.party.name for caller in coming.affected}
        for coming in current_phase(policy, [*EVERYBODY], now).brownouts
    ]

    assert under_way == ([hit] if hit is not None else [])


def test_a_brownout_ends_with_the_sunset() -> None:
    policy = Policy(sunset=SUNSET, brownouts=(once(SUNSET - HOUR, 2 * HOUR),))

    assert len(current_phase(policy, [NIGHTLY], SUNSET - TICK).brownouts) == 1
    assert current_phase(policy, [NIGHTLY], SUNSET).brownouts == ()
