from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from proxy.callers.plan.forecast import CallerStatus, current_phase, forecast
from proxy.callers.plan.upcoming import upcoming_lines
from proxy.withdrawn.brownouts import Brownout, Recurring
from proxy.withdrawn.lifecycle import Policy, PolicySubject
from tests.callers.plan.statuses import DAY, EVERYBODY, HOUR, NEW, NIGHTLY, NOW, SMOKE, SUNSET, status
from tests.callers.policies import once

BERLIN, KOLKATA = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata")


def lines(policy: Policy, callers: list[CallerStatus], zone: ZoneInfo, *, has_log: bool = True) -> list[str]:
    found = current_phase(policy, callers, NOW), forecast(policy, callers, NOW)
    return list(upcoming_lines(*found, NOW, zone, has_log=has_log))


def test_a_change_has_its_time_in_three_zones_and_the_time_until_then() -> None:
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
def test_zones_with_the_same_time_are_shown_once(zone: ZoneInfo, clocks: str) -> None:
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
        ([status(letter) for letter in "abcdefghij"], True, "a, b, c, d, e, f, g, h, i, j"),
        ([status(letter) for letter in "abcdefghijkl"], True, "a, b, c, d, e, f, g, h, i, j, and 2 more"),
        ([status("a\n\x1b[31m# b")], True, "a\\u000a\\u001b[31m# b"),
    ],
)  # fmt: skip
def test_a_change_names_the_affected_callers(callers: list[CallerStatus], has_log: bool, whom: str) -> None:
    assert lines(Policy(sunset=SUNSET), callers, KOLKATA, has_log=has_log)[-1] == f"  affects {whom}"


def test_a_brownout_in_progress_says_how_long_it_lasts() -> None:
    under_way = once(NOW - HOUR, HOUR + timedelta(seconds=10), "nightly")

    assert lines(Policy(brownouts=(under_way,)), EVERYBODY, ZoneInfo("UTC")) == [
        "phase: announced",
        "now: brownout until 2026-11-24 08:00:10 UTC, for another 10s",
        "  affects nightly",
        "nothing else is planned",
    ]
