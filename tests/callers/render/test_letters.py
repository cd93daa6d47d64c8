from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from proxy.callers.render.letters import BROWNOUTS, by_owner
from proxy.withdrawn.brownouts import Brownout, Recurring, Window
from proxy.withdrawn.lifecycle import Policy
from tests.callers.lines import DAY, NOW, beats, call, nightly
from tests.callers.policies import HOUR, once, rule
from tests.callers.render.profiles import BASE
from tests.callers.render.written import letter
from tests.callers.reports import analyzed

SUNSET = datetime(2027, 1, 1, tzinfo=UTC)
POLICY = Policy(sunset=SUNSET)
TEAM = {"owner": "team-a", "contact": "a@example.org"}


def test_an_owner_has_those_callers_that_still_call(tmp_path: Path) -> None:
    log = [
        *beats(NOW - 170 * DAY),
        *nightly(9, 1),
        *nightly(5, 1, "weekly"),
        *nightly(169, 120, "moved"),
        *nightly(3, 1, "x"),
    ]
    rules = [rule("nightly", **TEAM), rule("weekly", **TEAM), rule("moved", owner="team-b")]
    stranger = call(NOW - DAY, "stranger", token="b" * 12, status=401, owner="team-c", caller_source="token")
    owners = by_owner(analyzed(tmp_path, *log, stranger, rules=rules).report.callers)

    assert {owner: sorted(row.name for row in rows) for owner, rows in owners.items()} == {
        "team-a": ["nightly", "weekly"],
        "team-b": [],
        None: ["x"],
    }


def test_a_letter_has_all_that_its_owner_needs(tmp_path: Path) -> None:
    policy = POLICY._replace(documentation="https://docs.example", brownouts=(once(NOW + DAY), once(SUNSET + DAY)))
    log = [
        *beats(NOW - 9 * DAY),
        *nightly(9, 1, token="a" * 12),
        *nightly(9, 1, "late"),
        call(NOW - DAY / 2, "late", user_agent="late/1"),
    ]
    rules = [rule("nightly", **TEAM), rule("late", **TEAM | {"contact": "#a"}, extension=SUNSET + 9 * DAY)]
    found = letter(tmp_path, *log, rules=rules, policy=policy, sender="Anna")
    late, early = found.callers

    assert (found.owner, found.contacts, found.sender) == ("team-a", ["#a", "a@example.org"], "Anna")
    assert (found.date, found.end, found.service, found.documentation) == (NOW, SUNSET, BASE, "https://docs.example")
    assert (late.name, late.calls, late.last_call) == ("late", 10, NOW - DAY / 2)
    assert (late.end, late.has_extension, late.is_refused) == (SUNSET + 9 * DAY, True, False)
    assert (early.end, early.has_extension) == (SUNSET, False)
    assert early.brownouts == [Window(NOW + DAY, NOW + DAY + HOUR)]
    assert late.brownouts == [*early.brownouts, Window(SUNSET + DAY, SUNSET + DAY + HOUR)]
    assert f"curl -X POST {BASE}/repos/acme/shop/cicd/runs" in early.changes
    assert "`POST /acme/shop/ci_workflows/build/trigger` (`trigger`, 9 calls) becomes" in early.changes
    assert "- tokens: `aaaaaaaaaaaa (9)`" in early.evidence
    assert "\n2026-11-23 00:00:00  200 forwarded  POST /acme/shop/ci_workflows/build/trigger\n" in early.evidence
    assert found.advice.count("For a trigger, ") == 1


@pytest.mark.parametrize(
    ("policy", "fields", "end", "is_refused"),
    [
        (Policy(), {}, None, False),
        (Policy(sunset=NOW - DAY), {}, NOW - DAY, True),
        (POLICY, {"migrated": NOW - DAY}, NOW - DAY, True),
        (POLICY, {"migrated": NOW + DAY}, NOW + DAY, False),
    ],
)
def test_the_end_is_that_of_the_caller(
    tmp_path: Path, policy: Policy, fields: dict[str, Any], end: datetime | None, is_refused: bool
) -> None:
    always = Brownout(Recurring("0 * * * *", HOUR / 2, UTC))
    rules = [rule("nightly", **TEAM, **fields)]
    log = [*beats(NOW - 9 * DAY), *nightly(9, 1)]
    found = letter(tmp_path, *log, rules=rules, policy=policy._replace(brownouts=(always,)))
    [caller] = found.callers

    assert (caller.end, caller.is_refused, caller.has_extension) == (end, is_refused, False)
    assert found.end == (None if is_refused else end)
    assert len(caller.brownouts) == (0 if is_refused else BROWNOUTS)


def test_problems_that_the_new_call_does_not_solve_are_named(tmp_path: Path) -> None:
    log = [call(NOW - DAY, token="a" * 12, user_agent="nightly/1", status=504, outcome="timeout")]
    found = letter(tmp_path, *beats(NOW - 9 * DAY), *log, rules=[rule("nightly", **TEAM)], policy=POLICY)

    assert found.callers[0].warnings == ["All its calls fail. Migrating will not fix that."]
