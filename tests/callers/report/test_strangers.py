from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from proxy.callers.identity import Caller, Rule
from proxy.callers.record import CallRecord, Record
from proxy.callers.report.strangers import had_record, network_row
from proxy.withdrawn.lifecycle import Policy
from tests.callers.lines import DAY, NOW, beats, call
from tests.callers.policies import rule
from tests.callers.reports import analyzed, reported, row_of
from tests.callers.strangers import TOKEN, failed, stranger, with_token

KEPT = beats(NOW - 70 * DAY)


@pytest.mark.parametrize(
    "calls",
    [
        [stranger(agent=f"made-up/{number}") for number in range(500)],
        [stranger(agent=f"made-up/{number}", status=200, outcome="forwarded") for number in range(500)],
        [failed(token=f"{number:012x}") for number in range(500)],
        [call(caller=f"n{number}", caller_source="header", client_ip="203.0.113.9") for number in range(500)],
        [failed(caller=f"n{number}", caller_source="header") for number in range(500)],
    ],
    ids=["made-up agents", "reading without a token", "made-up tokens", "made-up names", "both"],
)
def test_strangers_are_one_row_and_have_no_say(tmp_path: Path, calls: list[Record]) -> None:
    report = reported(tmp_path, *KEPT, *calls)

    [row] = report.strangers
    assert (row.name, row.state, row.source, row.calls) == ("strangers in 203.0.113.0/24", "stranger", "stranger", 500)
    assert (row.retired_at, row.interval) == (None, None)
    assert (report.callers, report.rows) == ([], [row])
    assert (report.verdict, report.safe_at) == ("safe", None)
    assert report.reasons == [
        "nobody but strangers has called; the log covers 70d."
        " A job that runs less often than every 62 days would not be seen"
    ]


@pytest.mark.parametrize(
    "calls",
    [
        [with_token(NOW - timedelta(seconds=1))],
        [failed(NOW - 2 * DAY), with_token(), failed()],
        [with_token(caller="me", caller_source="header")],
        [call(caller_source="known", status=503, outcome="overloaded")],
    ],
    ids=["a newcomer", "one that succeeded once", "a declared name with a token", "one that a rule named then"],
)
def test_a_caller_counts_if_it_succeeded_once_or_a_rule_names_it(tmp_path: Path, calls: list[Record]) -> None:
    report = reported(tmp_path, *KEPT, *calls)

    assert [row.calls for row in report.callers] == [len(calls)]
    assert report.strangers == []
    assert report.verdict == "not_yet"


def test_a_caller_that_a_rule_names_is_never_a_stranger(tmp_path: Path) -> None:
    rules = [rule("nightly"), Rule("other", networks=(ip_network("198.51.100.0/24"),))]
    calls = [stranger(agent="nightly/1"), stranger(client_ip="198.51.100.7")]
    report = reported(tmp_path, *KEPT, *calls, rules=rules)

    assert [(row.name, row.state) for row in report.failing] == [("nightly", "failing"), ("other", "failing")]
    assert report.strangers == []


@pytest.mark.parametrize(
    "claim",
    [
        call(NOW - DAY, "me", caller_source="header", client_ip="203.0.113.9"),
        failed(caller="me", caller_source="header", token="ba9876543210"),
    ],
    ids=["without a token", "with a token that fails"],
)
def test_a_stranger_cannot_keep_a_caller_alive_by_its_name(tmp_path: Path, claim: CallRecord) -> None:
    report = reported(tmp_path, *KEPT, with_token(NOW - 65 * DAY, caller="me", caller_source="header"), claim)

    assert [(row.name, row.calls, row.state) for row in report.rows] == [
        ("me", 1, "retired"),
        ("strangers in 203.0.113.0/24", 1, "stranger"),
    ]
    assert report.verdict == "safe"


def test_a_success_before_the_period_counts(tmp_path: Path) -> None:
    report = reported(tmp_path, with_token(NOW - 9 * DAY), failed(), since=NOW - 3 * DAY)

    assert [(row.name, row.calls) for row in report.rows] == [(f"token:{TOKEN}", 1)]


@pytest.mark.parametrize("by", ["owner", "repo", "workflow", "endpoint", "agent"])
def test_strangers_are_one_group(tmp_path: Path, by: Any) -> None:
    calls = [stranger(agent=f"made-up/{n}", workflow=f"w{n}", client_ip=f"10.1.{n}.1", repo=f"r{n}") for n in range(9)]
    report = reported(tmp_path, with_token(user_agent="real"), *calls, by=by)

    assert [(row.state, row.callers, row.calls) for row in report.rows] == [("active", 1, 1), ("stranger", 9, 9)]
    assert report.rows[1].name == "(strangers)"


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.200", "strangers in 203.0.113.0/24"),
        ("2001:db8:1:2::3", "strangers in 2001:db8:1::/48"),
        ("2001:db8:1:ffff::9", "strangers in 2001:db8:1::/48"),
        ("fe80::1%eth0\x1b[2J", "strangers in fe80::/48"),
        ("a-socket", "strangers elsewhere"),
        ("", "strangers elsewhere"),
        (None, "strangers elsewhere"),
    ],
)
def test_a_network_is_what_one_site_has(address: str | None, network: str) -> None:
    assert network_row(address) == network


def test_the_details_of_strangers_name_them(tmp_path: Path) -> None:
    calls = [stranger(), failed(), failed(token="ba9876543210"), failed(client_ip="198.51.100.7", token="a" * 12)]
    found = analyzed(tmp_path, *calls, with_token(token="b" * 12))
    detail = found.details["strangers in 203.0.113.0/24"]

    assert detail.names == {"203.0.113.9 made-up/1": 1, f"token:{TOKEN}": 1, "token:ba9876543210": 1}
    assert detail.counts["errors"] == {"400 rejected": 1, "401 upstream_error": 2}
    assert len(detail.last_calls) == 3
    assert found.details[f"token:{'b' * 12}"].names == {f"token:{'b' * 12}": 1}


# --- who is new


def caller(token: str | None = None, client_ip: str = "203.0.113.77") -> Caller:
    return Caller("x", "address", None, token, client_ip, None, None)


@pytest.mark.parametrize(
    ("names", "who", "expected"),
    [
        ({"x"}, caller(), True),
        ({"y"}, caller(), False),
        ({"strangers in 203.0.113.0/24"}, caller(), True),
        ({"strangers in 203.0.113.0/24"}, caller(client_ip="198.51.100.7"), False),
        ({"strangers in 203.0.113.0/24"}, caller(token=TOKEN), False),
        ({"strangers elsewhere"}, caller(client_ip="198.51.100.7"), True),
        ({"strangers elsewhere"}, caller(token=TOKEN), False),
        ({"(others)"}, caller(token=TOKEN), True),
    ],
)
def test_a_stranger_has_a_record_if_its_network_has_one(names: set[str], who: Caller, expected: bool) -> None:
    assert had_record(who, names) is expected


def test_strangers_are_never_new_in_a_report(tmp_path: Path) -> None:
    records: list[Record] = [
        *KEPT,
        with_token(NOW - 20 * DAY),
        stranger(),
        with_token(token="ba9876543210", user_agent="new/1"),
    ]
    report = reported(tmp_path, *records, policy=Policy(freeze=NOW - 10 * DAY))

    assert row_of(report, f"token:{TOKEN}").effect.permanent_refusal is None
    assert row_of(report, "token:ba9876543210").effect.permanent_refusal == "frozen"
    assert report.strangers[0].effect.permanent_refusal is None
