import random
from datetime import UTC, datetime, timedelta, timezone
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from proxy.callers.identity import Rule
from proxy.callers.record import Record
from proxy.callers.report.analysis import analyze
from proxy.callers.report.report import CallerReport, still_calling
from proxy.callers.report.rows import Row
from tests.callers.lines import DAY, NOW, beats, call, line, log

HOUR = timedelta(hours=1)


def made(tmp_path: Path, *records: Record, rules: Any = (), **options: Any) -> CallerReport:
    file = tmp_path / "callers.jsonl"
    file.write_bytes(log(*records))
    return analyze([str(file)], rules, NOW, **options).report


def only(report: CallerReport) -> Row:
    [row] = report.callers
    return row


def test_a_row_says_who_and_how_often(tmp_path: Path) -> None:
    row = only(
        made(
            tmp_path,
            call(NOW - 3 * DAY, owner="team-a", run_user="alice", user_agent="x/1"),
            call(NOW - 2 * DAY, status=502, outcome="unreachable", endpoint="run_workflows", workflow=None),
            call(NOW - DAY, run_user="bob", repo="web"),
            call(
                NOW - DAY,
                endpoint="trigger_by_id",
                run_user="alice",
                org=None,
                repo=None,
                repo_id="42",
                status=400,
                outcome="rejected",
            ),
        )
    )

    assert (row.name, row.source, row.owner, row.calls, row.error_share) == ("nightly", "known", "team-a", 4, 0.5)
    assert set(row.users) == {"alice", "bob"}
    assert (row.first_seen, row.last_seen) == (NOW - 3 * DAY, NOW - DAY)
    assert row.counts == {
        "endpoints": {"trigger": 2, "trigger_by_id": 1, "run_workflows": 1},
        "repositories": {"acme/shop": 2, "acme/web": 1, "id:42": 1},
        "workflows": {"build": 3, "(none)": 1},
        "agents": {"x/1": 1, "(none)": 3},
        "outcomes": {"forwarded": 2, "unreachable": 1, "rejected": 1},
        "replacements": {
            "POST /repos/acme/shop/cicd/runs": 2,
            "POST /repos/acme/web/cicd/runs": 1,
            "POST /repos/id:42/cicd/runs": 1,
        },
    }
    assert row.by_day == [1, 1, 2, 0]


def test_the_last_user_comes_first(tmp_path: Path) -> None:
    days = {"alice": 5, "bob": 2, "carol": 3}
    row = only(made(tmp_path, *(call(NOW - days[user] * DAY, run_user=user) for user in days)))

    assert (row.user, row.users) == ("bob", ["bob", "carol", "alice"])


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
def test_rules_of_today_name_the_callers_of_yesterday(tmp_path: Path, rule: Rule) -> None:
    fields: dict[str, Any] = {"token": "0123456789ab", "user_agent": "legacy-ci/1", "client_ip": "10.1.2.3"}
    old = call(caller="token:0123456789ab", caller_source="token", **fields)
    new = call(caller="named", caller_source="known", **fields)
    row = only(made(tmp_path, old, new, rules=[Rule("other", agents=("nobody",)), rule]))

    assert (row.name, row.source, row.owner, row.contact) == ("named", "known", "team-a", "a@acme.example")
    assert row.calls == 2


def test_where_no_rule_matches_the_record_counts(tmp_path: Path) -> None:
    row = only(made(tmp_path, call(owner="team-b"), rules=[Rule("other", workflows=("else",))]))

    assert (row.name, row.owner, row.contact) == ("nightly", "team-b", None)


def mixed(seed: int) -> list[Record]:
    chance = random.Random(seed)  # noqa: S311
    records: list[Record] = [*beats(NOW - 40 * DAY, instance="a:1"), *beats(NOW - 35 * DAY, instance="b:1")]
    records += [
        call(
            NOW - chance.random() * 40 * DAY,
            chance.choice(["a", "b", "c"]),
            owner=chance.choice(["x", None]),
            status=chance.choice([200, 404]),
            repo=chance.choice(["shop", "web"]),
            run_user=chance.choice(["alice", "bob", None]),
        )
        for _ in range(300)
    ]
    return records


@pytest.mark.parametrize("by", ["caller", "owner", "repo"])
def test_the_order_of_the_records_does_not_matter(tmp_path: Path, by: str) -> None:
    records = mixed(1)
    shuffled = random.Random(2).sample(records, len(records))  # noqa: S311

    assert made(tmp_path, *records, by=by) == made(tmp_path, *shuffled, by=by)


def test_it_does_not_matter_how_records_lie_in_files(tmp_path: Path) -> None:
    records = mixed(3)
    paths = []
    for part in range(7):
        file = tmp_path / str(part)
        file.write_bytes(log(*records[part::7]))
        paths.append(str(file))

    assert analyze(paths, [], NOW).report == made(tmp_path, *records)


def test_times_of_other_zones_and_of_none_are_read_as_what_they_are(tmp_path: Path) -> None:
    local = line(call(datetime(2026, 11, 23, 1, 30, tzinfo=timezone(3 * HOUR))))
    bare = line(call(NOW)).replace(b'"ts":"2026-11-24T00:00:00Z"', b'"ts":"2026-11-23 02:00:00.5"')
    (tmp_path / "log").write_bytes(local + bare)

    row = only(analyze([str(tmp_path / "log")], [], NOW).report)

    assert row.first_seen == datetime(2026, 11, 22, 22, 30, tzinfo=UTC)
    assert row.last_seen == datetime(2026, 11, 23, 2, 0, 0, 500000, tzinfo=UTC)
    assert row.by_day == [1, 1, 0]


def test_a_period_begins_with_its_first_moment_and_ends_before_its_last(tmp_path: Path) -> None:
    since, until = NOW - 5 * DAY, NOW - 2 * DAY
    moments = [since - timedelta(microseconds=1), since, until - timedelta(microseconds=1), until]
    report = made(tmp_path, *map(call, moments), since=since, until=until)

    assert only(report).calls == 2
    assert tuple(report.coverage.period) == (since, until)


def test_a_period_that_begins_before_the_log_has_a_gap_there(tmp_path: Path) -> None:
    report = made(tmp_path, *beats(NOW - 10 * DAY), since=NOW - 30 * DAY)

    assert [tuple(gap) for gap in report.coverage.gaps] == [(NOW - 30 * DAY, NOW - 10 * DAY)]
    assert report.verdict == "cannot_tell"


def test_groups_have_the_liveliest_state_of_their_callers(tmp_path: Path) -> None:
    gone = [call(NOW - (20 + day) * DAY, "gone", owner="team-a") for day in range(100)]
    monthly = [call(NOW - days * DAY, "monthly", owner="team-a") for days in (25, 55, 85, 115)]
    report = made(tmp_path, *gone, *monthly, *beats(NOW - 120 * DAY), by="owner")

    [row] = report.rows
    states = {caller.name: caller.state for caller in report.callers}
    assert states == {"gone": "retired", "monthly": "active"}
    assert (row.name, row.callers, row.calls, row.state, row.source) == ("team-a", 2, 104, "active", None)


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
def test_groups_are_by_what_was_asked_for(tmp_path: Path, by: Any, names: set[str]) -> None:
    one = call(owner="team-a", user_agent="x/1")
    other = call(org=None, repo=None, repo_id="42", workflow=None, endpoint="list_runs", caller="other")
    report = made(tmp_path, one, other, one, by=by)

    assert {row.name for row in report.rows} == names
    assert {row.name: row.calls for row in report.callers} == {"nightly": 2, "other": 1}


def test_rows_come_by_their_state_then_by_their_calls(tmp_path: Path) -> None:
    records: list[Record] = [
        *beats(NOW - 100 * DAY),
        *(call(NOW - 90 * DAY, "gone") for _ in range(9)),
        call(NOW - DAY, "one"),
        *(call(NOW - DAY, "two") for _ in range(2)),
    ]

    assert [row.name for row in made(tmp_path, *records).rows] == ["two", "one", "gone"]


# --- the verdict


def nightly(since: int, until: int) -> list[Record]:
    return [call(NOW - days * DAY) for days in range(since, until - 1, -1)]


@pytest.mark.parametrize(
    ("records", "verdict"),
    [
        ([], "cannot_tell"),
        (beats(NOW - 30 * DAY), "cannot_tell"),
        (beats(NOW - 31 * DAY), "safe"),
        ([*beats(NOW - 40 * DAY), *nightly(40, 14)], "not_yet"),
        ([*beats(NOW - 40 * DAY), *nightly(40, 15)], "safe"),
        (nightly(40, 15), "cannot_tell"),
        (nightly(40, 1), "not_yet"),
        ([*beats(NOW - 40 * DAY, NOW - 5 * DAY), *nightly(40, 15)], "cannot_tell"),
        ([*beats(NOW - 40 * DAY, NOW - 5 * DAY), *nightly(40, 3)], "not_yet"),
        ([*beats(NOW - 70 * DAY), call(NOW - 61 * DAY)], "not_yet"),
        ([*beats(NOW - 70 * DAY), call(NOW - 63 * DAY)], "safe"),
    ],
    ids=[
        "an empty log",
        "nobody, in a log of thirty days",
        "nobody, in a log of a month",
        "silent for as long as it takes",
        "silent for longer",
        "silent, without heartbeats",
        "calling, without heartbeats",
        "silent, and so is the log",
        "calling while the log was kept",
        "once, two months ago",
        "once, before that",
    ],
)
def test_the_verdict(tmp_path: Path, records: list[Record], verdict: str) -> None:
    report = made(tmp_path, *records)

    assert report.verdict == verdict, report.reasons
    assert report.reasons


def test_who_still_calls_is_named_with_when_it_is_over(tmp_path: Path) -> None:
    records = [*beats(NOW - 40 * DAY), *nightly(40, 3), call(NOW - 30 * DAY, "x" * 500, owner="team-a")]
    report = made(tmp_path, *records)

    assert report.reasons == [
        "nightly is active: last call 2026-11-21 00:00; retired on 2026-12-05 if it never calls again",
        f"{'x' * 79}… of team-a is quiet: last call 2026-10-25 00:00; retired on 2026-12-26 if it never calls again",
    ]
    assert report.safe_at == NOW + 32 * DAY


def test_silence_that_no_log_proves_puts_off_retirement(tmp_path: Path) -> None:
    kept = only(made(tmp_path, *beats(NOW - 40 * DAY), *nightly(40, 10)))
    [partly] = made(
        tmp_path, *beats(NOW - 40 * DAY, NOW - 8 * DAY), *beats(NOW - 6 * DAY, instance="b:1"), *nightly(40, 10)
    ).callers

    assert (kept.state, kept.retired_at) == ("quiet", NOW + 4 * DAY)
    assert (partly.state, partly.retired_at) == ("quiet", NOW + 6 * DAY)


# --- the gate


@pytest.mark.parametrize(
    ("records", "gate"),
    [
        ([*beats(NOW - 20 * DAY), call(NOW - 14 * DAY)], "somebody"),
        ([*beats(NOW - 20 * DAY), call(NOW - 14 * DAY - timedelta(seconds=1))], "nobody"),
        ([call(NOW - 15 * DAY)], "unknown"),
        ([call(NOW - 13 * DAY)], "somebody"),
        ([*beats(NOW - 14 * DAY)], "nobody"),
        ([*beats(NOW - 13 * DAY)], "unknown"),
        ([], "unknown"),
    ],
)
def test_the_gate_looks_at_its_window_alone(tmp_path: Path, records: list[Record], gate: str) -> None:
    assert still_calling(made(tmp_path, *records), timedelta(days=14)) == gate
