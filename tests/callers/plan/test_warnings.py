from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from proxy.callers.identity import Rule, policy_subject
from proxy.callers.plan.forecast import CallerStatus, caller_statuses
from proxy.callers.plan.warnings import policy_warnings
from proxy.withdrawn.brownouts import Brownout, Recurring
from proxy.withdrawn.lifecycle import Policy
from tests.callers.lines import call
from tests.callers.policies import once, rule
from tests.callers.reports import analyzed

TICK = timedelta(microseconds=1)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
SUNSET = NOW + 40 * DAY
BERLIN = ZoneInfo("Europe/Berlin")


def caller(rule: Rule, **values: Any) -> CallerStatus:
    return CallerStatus(policy_subject(rule.name, rule, has_record=True), **values)


CALLS = {"state": "active", "last_seen": NOW - HOUR}
NIGHTLY, SMOKE = Rule("nightly", "team-a"), Rule("smoke")
BOTH = [caller(NIGHTLY, **CALLS), caller(SMOKE, **CALLS)]


def warned(
    *brownouts: Brownout, sunset: datetime | None = None, callers: list[CallerStatus] | None = None
) -> list[str]:
    policy = Policy(sunset=sunset, brownouts=brownouts)
    callers = BOTH if callers is None else callers
    rules = [rule for rule in (NIGHTLY, SMOKE) if any(caller.party.name == rule.name for caller in callers)]
    return policy_warnings(policy, rules, callers, NOW, frozenset(rules))


def test_without_plans_there_are_no_warnings() -> None:
    assert warned() == []


# --- windows


@pytest.mark.parametrize(
    ("begin", "is_soon"), [(NOW, False), (NOW + TICK, True), (NOW + DAY, True), (NOW + DAY + TICK, False)]
)
def test_a_brownout_within_a_day_is_announced(begin: datetime, is_soon: bool) -> None:
    assert any(": begins in" in warning for warning in warned(once(begin))) is is_soon


def test_an_announcement_says_when_and_who_is_affected() -> None:
    assert warned(once(NOW + HOUR, timedelta(seconds=10), "nightly")) == [
        "lifecycle.brownouts[0]: begins in 1h, at 2026-11-24 09:00 UTC, and ends at 2026-11-24 09:00:10 UTC;"
        " affects nightly"
    ]


def test_callers_refused_by_then_are_not_affected() -> None:
    moved = caller(Rule("moved", migrated=NOW), **CALLS)

    assert warned(once(NOW + HOUR), callers=[*BOTH, moved])[0].endswith("; affects nightly, smoke")
    assert warned(once(NOW + HOUR), callers=[moved])[0].endswith("; affects nobody")


@pytest.mark.parametrize("end", [NOW - TICK, NOW, NOW + TICK])
def test_a_past_brownout_may_stay(end: datetime) -> None:
    assert warned(once(end - HOUR)) == []


@pytest.mark.parametrize(
    ("brownout", "is_late"),
    [
        (once(SUNSET - TICK), False),
        (once(SUNSET), True),
        (Brownout(Recurring("0 0 1 2 *", HOUR, UTC)), True),
        (Brownout(Recurring("0 0 1 * *", HOUR, UTC)), False),
    ],
)
def test_a_brownout_after_the_sunset_should_be_removed(brownout: Brownout, is_late: bool) -> None:
    assert any("all its callers are refused already" in line for line in warned(brownout, sunset=SUNSET)) is is_late


@pytest.mark.parametrize(
    ("begin", "callers", "is_late"),
    [
        (SUNSET + 10 * DAY - TICK, ("late",), False),
        (SUNSET + 10 * DAY, ("late",), True),
        (SUNSET, ("nightly",), True),
    ],
)
def test_a_brownout_after_the_sunset_may_be_for_callers_with_an_extension(
    begin: datetime, callers: tuple[str, ...], is_late: bool
) -> None:
    late = caller(Rule("late", extension=SUNSET + 10 * DAY), **CALLS)
    found = warned(once(begin, HOUR, *callers), sunset=SUNSET, callers=[*BOTH, late])

    assert any("refused already" in line for line in found) is is_late


# --- names


@pytest.mark.parametrize(
    ("brownout", "said"),
    [
        (once(NOW + 2 * DAY, HOUR, "nightly", "team-*", "sm?ke"), []),
        (once(NOW + 2 * DAY, HOUR, "known"), []),
        (once(NOW + 2 * DAY, HOUR, "nitghly", "smoke"), ["callers: 'nitghly'"]),
        (once(NOW + 2 * DAY, exempt=("tema-a",)), ["except: 'tema-a'"]),
    ],
)
def test_globs_that_match_no_caller_are_reported(brownout: Brownout, said: list[str]) -> None:
    found = warned(brownout, callers=[*BOTH, caller(Rule("known"))])

    where = "matches no caller in the log or in callers.known"
    assert found == [f"lifecycle.brownouts[0].{glob} {where}" for glob in said]


def test_rules_without_calls_are_reported() -> None:
    rules = [NIGHTLY, Rule("idle")]
    [said] = policy_warnings(Policy(), rules, [*BOTH, caller(rules[1])], NOW, frozenset([NIGHTLY]))

    assert said.startswith("callers.known[1]: no call in the log is from idle")


def test_without_a_log_missing_callers_are_not_reported() -> None:
    rules = [Rule("idle", extension=NOW + DAY)]
    policy = Policy(brownouts=(once(NOW + 2 * DAY, HOUR, "else"),))

    assert policy_warnings(policy, rules, [caller(rules[0])], NOW, None) == []


# --- dates of single callers


@pytest.mark.parametrize(
    ("migrated", "last", "state", "is_warned"),
    [
        (NOW - DAY, NOW - DAY - TICK, "active", False),
        (NOW - DAY, NOW - DAY, "active", True),
        (NOW - DAY, NOW - DAY, "quiet", True),
        (NOW - DAY, NOW - DAY, "retired", False),
        (NOW + DAY, NOW, "active", False),
    ],
)
def test_migrated_callers_that_still_call_are_reported(
    migrated: datetime, last: datetime, state: str, is_warned: bool
) -> None:
    rule = Rule("moved", migrated=migrated)
    found = policy_warnings(Policy(), [rule], [caller(rule, state=state, last_seen=last)], NOW, frozenset([rule]))

    assert (found != []) is is_warned
    assert all(
        line.startswith("callers.known[0].migrated: moved still calls, last at 2026-11-23 08:00 UTC") for line in found
    )


def test_an_extension_for_a_caller_that_is_not_in_the_log_is_reported() -> None:
    late, idle = Rule("late", extension=NOW + DAY), Rule("idle", extension=NOW + DAY)
    found = policy_warnings(Policy(), [late, idle], [caller(late, **CALLS), caller(idle)], NOW, frozenset([late, idle]))

    assert found == ["callers.known[1].extension: idle is not in the log, so it needs no extension"]


def test_two_rules_of_one_name_are_one_caller() -> None:
    rules = [Rule("both", agents=("a",)), Rule("both", agents=("b",))]

    assert policy_warnings(Policy(), rules, [caller(rules[0], **CALLS)], NOW, frozenset(rules)) == []


def test_control_characters_in_names_are_escaped() -> None:
    rule = Rule("a\x1b[31m\nb", extension=NOW + DAY)
    policy = Policy(
        brownouts=(
            once(NOW + HOUR),
            once(NOW + 2 * DAY, HOUR, "\x1b*"),
        )
    )
    found = policy_warnings(policy, [rule], [caller(rule)], NOW, frozenset())

    assert len(found) == 4
    assert all(line.isprintable() for line in found)


# --- what any caller can claim

TOKENS, NETWORKS = {"tokens": ("0123456789ab",)}, {"networks": (ip_network("10.0.0.0/8"),)}


@pytest.mark.parametrize(
    ("right", "value"), [("migrated", NOW + DAY), ("extension", NOW + DAY), ("exempt_from_freeze", True)]
)
@pytest.mark.parametrize(
    ("criteria", "claims"),
    [
        ({"agents": ("a/*",)}, "agent"),
        ({"repositories": ("acme/*",), "workflows": ("b",)}, "repository and workflow"),
        ({"agents": ("a/*",), **TOKENS}, None),
        ({"agents": ("a/*",), **NETWORKS}, None),
        (TOKENS, None),
        (NETWORKS, None),
    ],
)
def test_a_right_that_hangs_on_what_any_caller_can_claim_is_reported(
    right: str, value: Any, criteria: Any, claims: str | None
) -> None:
    rules = [NIGHTLY, Rule("late", **criteria, **{right: value}), Rule("plain", agents=("b/*",))]
    found = policy_warnings(Policy(), rules, [caller(rule) for rule in rules], NOW, None)

    expected = f"callers.known[1].{right}: hangs on {claims}, which any caller can claim; add token or network"
    assert found == ([expected] if claims is not None else [])


def test_the_plan_knows_ignored_callers_that_call(tmp_path: Path) -> None:
    rules = [rule("nightly", ignore=True, migrated=NOW - 2 * DAY)]
    policy = Policy(sunset=NOW + 30 * DAY, brownouts=(once(NOW + DAY, HOUR, "night*"),))
    analysis = analyzed(tmp_path, call(NOW - DAY, user_agent="nightly/1"), rules=rules, policy=policy, now=NOW)
    statuses = caller_statuses(analysis, rules, policy, NOW)

    assert [(each.party.name, each.state) for each in statuses] == [("nightly", "ignored")]
    warnings = policy_warnings(policy, rules, statuses, NOW, analysis.matched_rules)
    assert not any("matches no caller" in warning for warning in warnings)
