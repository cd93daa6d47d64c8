import random
from datetime import UTC, datetime, timedelta, timezone
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from proxy.callers.identity import Rule
from proxy.callers.report.analysis import Logs, analyze
from proxy.callers.report.policy_effect import PolicyEffect
from proxy.withdrawn.lifecycle import Policy
from tests.callers.lines import DAY, NOW, beats, call, line, nightly
from tests.callers.reports import mixed, reported, row_of


@pytest.mark.parametrize(
    "rule",
    [
        Rule("named", "team-a", "a@acme.example", tokens=("0123456789ab",)),
        Rule("named", "team-a", "a@acme.example", agents=("legacy-*",)),
        Rule("named", "team-a", "a@acme.example", networks=(ip_network("10.1.0.0/16"),)),
        Rule("named", "team-a", "a@acme.example", repositories=("acme/*",), workflows=("b*",)),
    ],
    ids=["token", "agent", "network", "repository and workflow"],
)
def test_current_rules_name_the_callers_of_older_records(tmp_path: Path, rule: Rule) -> None:
    fields: dict[str, Any] = {"token": "0123456789ab", "user_agent": "legacy-ci/1", "client_ip": "10.1.2.3"}
    old = call(caller="token:0123456789ab", caller_source="token", **fields)
    new = call(caller="named", caller_source="known", **fields)
    [row] = reported(tmp_path, old, new, rules=[Rule("other", agents=("nobody",)), rule]).callers

    assert (row.name, row.source, row.owner, row.contact) == ("named", "known", "team-a", "a@acme.example")
    assert row.calls == 2


def test_without_a_matching_rule_the_name_in_the_record_is_used(tmp_path: Path) -> None:
    row = row_of(reported(tmp_path, call(owner="team-b"), rules=[Rule("other", workflows=("else",))]))

    assert (row.name, row.owner, row.contact) == ("nightly", "team-b", None)


def test_a_name_that_an_older_version_let_a_caller_declare_is_not_believed(tmp_path: Path) -> None:
    rules = [Rule("nightly", tokens=("0123456789ab",))]
    fields: dict[str, Any] = {"caller_source": "header", "token": "ba9876543210"}
    names = ("nightly", "token:0123456789ab", "honest")
    report = reported(tmp_path, *(call(caller=name, **fields) for name in names), rules=rules)

    assert [(row.name, row.calls) for row in report.rows] == [("token:ba9876543210", 2), ("honest", 1)]


@pytest.mark.parametrize("by", ["caller", "owner", "repo"])
def test_the_order_of_the_records_does_not_matter(tmp_path: Path, by: str) -> None:
    records = mixed(1)
    shuffled = random.Random(2).sample(records, len(records))  # noqa: S311

    assert reported(tmp_path, *records, by=by) == reported(tmp_path, *shuffled, by=by)


def test_times_in_other_zones_are_converted_and_times_without_one_are_utc(tmp_path: Path) -> None:
    local = line(call(datetime(2026, 11, 23, 1, 30, tzinfo=timezone(timedelta(hours=3)))))
    bare = line(call(NOW)).replace(b'"ts":"2026-11-24T00:00:00Z"', b'"ts":"2026-11-23 02:00:00.5"')
    (tmp_path / "log").write_bytes(local + bare)

    row = row_of(analyze(Logs([str(tmp_path / "log")]), [], NOW).report)

    assert row.first_seen == datetime(2026, 11, 22, 22, 30, tzinfo=UTC)
    assert row.last_seen == datetime(2026, 11, 23, 2, 0, 0, 500000, tzinfo=UTC)
    assert row.by_day == [1, 1, 0]


def test_a_period_includes_its_begin_but_not_its_end(tmp_path: Path) -> None:
    since, until = NOW - 5 * DAY, NOW - 2 * DAY
    moments = [since - timedelta(microseconds=1), since, until - timedelta(microseconds=1), until]
    report = reported(tmp_path, *map(call, moments), since=since, until=until)

    assert row_of(report).calls == 2
    assert tuple(report.coverage.period) == (since, until)


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("owner", {"team-a", "(none)"}),
        ("repo", {"acme/shop", "id:42"}),
        ("workflow", {"build", "(none)"}),
        ("endpoint", {"trigger", "list_runs"}),
        ("agent", {"x/1", "(none)"}),
    ],
)
def test_calls_are_grouped_by_the_requested_dimension(tmp_path: Path, by: Any, names: set[str]) -> None:
    one = call(owner="team-a", user_agent="x/1")
    other = call(org=None, repo=None, repo_id="42", workflow=None, endpoint="list_runs", caller="other")
    report = reported(tmp_path, one, other, one, by=by)

    assert {row.name for row in report.rows} == names
    assert {row.name: row.calls for row in report.callers} == {"nightly": 2, "other": 1}


# --- who is new


@pytest.mark.parametrize(
    ("first", "refused"), [(NOW - 10 * DAY - timedelta(microseconds=1), None), (NOW - 10 * DAY, "frozen")]
)
def test_a_caller_without_a_record_before_the_freeze_is_refused(tmp_path: Path, first: datetime, refused: Any) -> None:
    report = reported(tmp_path, *beats(NOW - 40 * DAY), call(first), policy=Policy(freeze=NOW - 10 * DAY))

    assert row_of(report, "nightly").effect.permanent_refusal == refused


def test_a_caller_from_before_the_period_is_not_new(tmp_path: Path) -> None:
    policy, records = Policy(freeze=NOW - 10 * DAY), [*nightly(12, 1), *nightly(5, 1, "begun")]
    report = reported(tmp_path, *records, policy=policy, since=NOW - 3 * DAY)

    assert [(row.name, row.calls, row.effect.permanent_refusal) for row in report.callers] == [
        ("begun", 3, "frozen"),
        ("nightly", 3, None),
    ]


def test_nobody_is_new_if_the_log_begins_after_the_freeze(tmp_path: Path) -> None:
    policy = Policy(freeze=NOW - 10 * DAY)

    assert row_of(reported(tmp_path, *nightly(5, 1), policy=policy), "nightly").effect == PolicyEffect()
    longer = reported(tmp_path, *beats(NOW - 11 * DAY), *nightly(5, 1), policy=policy)
    assert row_of(longer, "nightly").effect.permanent_refusal == "frozen"


def test_a_caller_in_several_groups_is_new_in_all_of_them_or_in_none(tmp_path: Path) -> None:
    records = [call(NOW - 12 * DAY, repo="first"), call(NOW - 2 * DAY, repo="second")]
    report = reported(tmp_path, *records, policy=Policy(freeze=NOW - 10 * DAY), by="repo")

    assert {row.name: row.effect.permanent_refusal for row in report.rows} == {"acme/first": None, "acme/second": None}
