import ipaddress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from proxy import config
from proxy.callers.identity import Rule
from proxy.config import Config
from proxy.withdrawn.brownouts import Brownout, Once, Recurring, Window
from proxy.withdrawn.lifecycle import Policy
from tests.config.loading import Load, Problems, one


def test_known_callers_become_rules(load: Load) -> None:
    text = """
callers:
  header: X-Caller
  known:
    - {name: nightly, owner: team-a, contact: a@example.org, token: b7a07c479d15, repository: acme/*}
    - {name: mobile, token: ["0123456789ab", "ba9876543210"], agent: [legacy-ci/*, curl*], network: 10.0.0.0/8}
    - {name: scanner, agent: dast/*, note: "asks for the team's page", promised: 2026-12-01, ignore: true}
"""
    callers = load(text).callers
    assert callers.header == "X-Caller"
    assert list(callers.known) == [
        Rule("nightly", "team-a", "a@example.org", tokens=("b7a07c479d15",), repositories=("acme/*",)),
        Rule(
            "mobile",
            tokens=("0123456789ab", "ba9876543210"),
            agents=("legacy-ci/*", "curl*"),
            networks=(ipaddress.ip_network("10.0.0.0/8"),),
        ),
        Rule(
            "scanner",
            agents=("dast/*",),
            note="asks for the team's page",
            promised=datetime(2026, 12, 1, tzinfo=UTC),
            ignore=True,
        ),
    ]


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ("{agent: x}", "callers.known[0].name: missing"),
        ("{name: x}", "callers.known[0]: matches every call"),
        ("{name: x, owner: 5, agent: x}", "callers.known[0].owner: 5 is not a valid name"),
        ("{name: x, agnt: x, agent: y}", "callers.known[0].agnt: unknown key; did you mean callers.known[0].agent?"),
        (
            "{name: x, network: 10.0.0.1/8}",
            "callers.known[0].network: '10.0.0.1/8' has bits after those",
        ),
        ("x", "callers.known[0]: is a string; write its keys: name, owner"),
    ],
)
def test_a_known_caller_that_cannot_be_used_is_refused_by_its_place(
    problems: Problems, rule: str, problem: str
) -> None:
    assert any(found.startswith(problem) for found in problems(f"callers: {{known: [{rule}]}}"))


def test_a_token_that_stands_for_its_fingerprint_is_not_shown(problems: Problems) -> None:
    found = one(problems("callers: {known: [{name: x, token: y0_secret-token}]}"))
    assert "trigger-shim fingerprint" in found
    assert "secret" not in found


PLAN = """
lifecycle:
  deprecated: 2025-12-01
  sunset: 2027-01-01T12:00:00+03:00
  freeze: 2026-11-01
  brownouts:
    - {from: 2026-12-01T10:00:00Z, to: 2026-12-01T10:10:00Z, callers: [nightly, team-a], except: month-end}
    - {cron: "0 12 * * MON", duration: 600, time_zone: Europe/Berlin}
callers:
  known:
    - {name: moved, agent: x, migrated: 2026-11-01, every: 13w}
    - {name: late, agent: y, extension: 2027-06-01, exempt_from_freeze: true}
"""


def test_a_plan_becomes_a_policy(load: Load) -> None:
    settings = load(PLAN)
    window = Window(datetime(2026, 12, 1, 10, tzinfo=UTC), datetime(2026, 12, 1, 10, 10, tzinfo=UTC))

    assert settings.lifecycle == Policy(
        datetime(2025, 12, 1, tzinfo=UTC),
        datetime(2027, 1, 1, 9, tzinfo=UTC),
        Config().lifecycle.documentation,
        (
            Brownout(Once(window), ("nightly", "team-a"), ("month-end",)),
            Brownout(Recurring("0 12 * * MON", timedelta(minutes=10), ZoneInfo("Europe/Berlin"))),
        ),
        datetime(2026, 11, 1, tzinfo=UTC),
    )
    moved, late = settings.callers.known
    assert (moved.migrated, moved.extension, moved.exempt_from_freeze) == (
        datetime(2026, 11, 1, tzinfo=UTC),
        None,
        False,
    )
    assert (moved.every, late.every) == (timedelta(weeks=13), None)
    assert (late.migrated, late.extension, late.exempt_from_freeze) == (None, datetime(2027, 6, 1, tzinfo=UTC), True)


def test_a_plan_that_is_printed_is_read_again(load: Load) -> None:
    assert load(config.render(load(PLAN))) == load(PLAN)


@pytest.mark.parametrize(
    ("plan", "problem"),
    [
        ("brownouts: [{}]", "brownouts[0]: has no whole time; write from and to, or cron and duration"),
        ("brownouts: [{from: 2026-12-01}]", "brownouts[0]: has no whole time; write from and to, or cron and duration"),
        ("brownouts: [{cron: 0 12 * * *}]", "brownouts[0]: has no whole time; write from and to, or cron and duration"),
        (
            "brownouts: [{from: 2026-12-01, to: 2026-12-02, duration: 60}]",
            "brownouts[0]: has no whole time; write from and to, or cron and duration",
        ),
        (
            "brownouts: [{from: 2026-12-01, to: 2026-12-01}]",
            "brownouts[0]: to is not after from; change one of them",
        ),
        (
            "brownouts: [{cron: 0 25 * * *, duration: 60}]",
            "brownouts[0].cron: '0 25 * * *' is not a valid cron expression",
        ),
        (
            "brownouts: [{cron: 0 0 30 2 *, duration: 60}]",
            "brownouts[0].cron: '0 0 30 2 *' is not a valid cron expression",
        ),
        ("brownouts: [{time_zone: Mars/Olympus}]", "brownouts[0].time_zone: 'Mars/Olympus' is not a valid time zone"),
        (
            "brownouts: [{time_zone: ../etc/passwd}]",
            "brownouts[0].time_zone: '../etc/passwd' is not a valid time zone",
        ),
        (
            "brownouts: [{form: 2026-12-01}]",
            "brownouts[0].form: unknown key; did you mean lifecycle.brownouts[0]",
        ),
        ("brownouts: [{except_: x}]", "brownouts[0].except_: unknown key"),
        ("brownouts: {from: x}", "brownouts: is a mapping; write a list"),
        ("brownouts: [x]", "brownouts[0]: is a string; write its keys: from, to, cron"),
        ("freeze: soon", "freeze: 'soon' is not a valid date"),
    ],
)
def test_a_plan_that_cannot_be_used_is_refused_by_its_place(problems: Problems, plan: str, problem: str) -> None:
    found = problems(f"lifecycle: {{{plan}}}")
    assert any(line.startswith(f"lifecycle.{problem}") for line in found), found


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "lifecycle: {sunset: 2027-01-01}\ncallers: {known: [{name: x, agent: x, extension: 2027-01-01}]}",
            "callers.known[0].extension: is not after lifecycle.sunset; change one of them",
        ),
        (
            "callers: {known: [{name: x, agent: x, migrated: 2027-01-01, extension: 2027-01-01}]}",
            "callers.known[0].extension: cannot be combined with migrated; remove one of them",
        ),
        (
            "lifecycle: {freeze: 2026-01-01}\ncallers: {log: '-'}\nledger: null",
            "lifecycle.freeze: needs a ledger to tell who is new; set ledger, or callers.log to a file",
        ),
        (
            "callers: {known: [{name: x, agent: x, exempt_from_freeze: yep}]}",
            "callers.known[0].exempt_from_freeze: must be true or false, not 'yep'",
        ),
        (
            "callers: {known: [{name: x, agent: x, every: 92}]}",
            "callers.known[0].every: 92 is not a valid period; write days or weeks, such as 92d or 4w",
        ),
        (
            "callers: {known: [{name: x, agent: x, every: 0d}]}",
            "callers.known[0].every: '0d' is not a valid period; write days or weeks",
        ),
    ],
)
def test_dates_of_callers_that_contradict_the_plan_are_refused(problems: Problems, text: str, problem: str) -> None:
    assert one(problems(text)).startswith(problem)
