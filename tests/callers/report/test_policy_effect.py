"""What a report says of the plans for its callers, and what they mean for the verdict."""

import csv
import io
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from proxy.callers.identity import Rule
from proxy.callers.record import Record
from proxy.callers.render.formats import to_csv, to_json, to_markdown
from proxy.callers.render.html_page import to_html
from proxy.callers.render.profile import make_profile
from proxy.callers.render.profile_text import profile_to_markdown, profile_to_text
from proxy.callers.report.analysis import Analysis, analyze
from proxy.callers.report.policy_effect import PolicyEffect, policy_effect, refusal_dates
from proxy.callers.report.report import CallerReport, still_calling
from proxy.callers.report.rows import Row
from proxy.withdrawn.brownouts import Brownout, Once, Window
from proxy.withdrawn.lifecycle import Policy, PolicySubject
from tests.callers.lines import DAY, NOW, beats, call, log

TICK, HOUR = timedelta(microseconds=1), timedelta(hours=1)
SUNSET = NOW + 20 * DAY


def once(begin: datetime, length: timedelta = HOUR, *callers: str) -> Brownout:
    return Brownout(Once(Window(begin, begin + length)), callers)


def analyzed(tmp_path: Path, policy: Policy, *records: Record, rules: Any = (), **options: Any) -> Analysis:
    file = tmp_path / "callers.jsonl"
    file.write_bytes(log(*records))
    return analyze([str(file)], rules, NOW, policy=policy, wants_detail=lambda _: True, **options)


def made(tmp_path: Path, policy: Policy, *records: Record, rules: Any = (), **options: Any) -> CallerReport:
    return analyzed(tmp_path, policy, *records, rules=rules, **options).report


def nightly(since: int, until: int, caller: str = "nightly", **fields: Any) -> list[Record]:
    fields = {"user_agent": f"{caller}/1"} | fields
    return [call(NOW - days * DAY, caller, **fields) for days in range(since, until - 1, -1)]


def rule(name: str, **dates: Any) -> Rule:
    return Rule(name, agents=(f"{name}/*",), **dates)


def row_of(report: CallerReport, name: str) -> Row:
    return next(row for row in report.callers if row.name == name)


# --- what is to come


@pytest.mark.parametrize(
    ("policy", "party", "text"),
    [
        (Policy(), PolicySubject("a"), "-"),
        (Policy(deprecated=NOW), PolicySubject("a"), "-"),
        (Policy(deprecated=NOW + TICK), PolicySubject("a"), "deprecated 2026-11-24"),
        (Policy(sunset=SUNSET), PolicySubject("a"), "sunset 2026-12-14"),
        (Policy(sunset=SUNSET), PolicySubject("a", extension=SUNSET + HOUR), "extension 2026-12-14 01:00"),
        (Policy(sunset=NOW + TICK), PolicySubject("a"), "sunset 2026-11-24"),
        (Policy(sunset=NOW), PolicySubject("a"), "refused"),
        (Policy(sunset=NOW), PolicySubject("a", extension=NOW + HOUR), "extension 2026-11-24 01:00"),
        (Policy(), PolicySubject("a", migrated=NOW + TICK), "migrated 2026-11-24"),
        (Policy(), PolicySubject("a", migrated=NOW), "refused"),
        (Policy(freeze=NOW), PolicySubject("a", is_new=True), "refused"),
        (Policy(freeze=NOW), PolicySubject("a"), "-"),
        (Policy(freeze=NOW + DAY), PolicySubject("a", is_new=True), "freeze 2026-11-25"),
        (Policy(brownouts=(once(NOW + HOUR),)), PolicySubject("a"), "brownout 2026-11-24 01:00"),
        (Policy(brownouts=(once(NOW + timedelta(seconds=90)),)), PolicySubject("a"), "brownout 2026-11-24 00:01:30"),
        (Policy(brownouts=(once(NOW + HOUR, HOUR, "b"),)), PolicySubject("a"), "-"),
        (Policy(brownouts=(once(NOW),)), PolicySubject("a"), "refused until 2026-11-24 01:00"),
        (Policy(brownouts=(once(NOW - HOUR),)), PolicySubject("a"), "-"),
    ],
)
def test_what_comes_next_in_a_few_words(policy: Policy, party: PolicySubject, text: str) -> None:
    assert policy_effect(policy, party, NOW).summary == text


@pytest.mark.parametrize(
    ("policy", "party", "since"),
    [
        (Policy(), PolicySubject("a"), None),
        (Policy(sunset=SUNSET), PolicySubject("a"), SUNSET),
        (Policy(sunset=SUNSET), PolicySubject("a", migrated=NOW + DAY), NOW + DAY),
        (Policy(sunset=SUNSET), PolicySubject("a", migrated=SUNSET + DAY), SUNSET),
        (Policy(sunset=NOW - 2 * DAY), PolicySubject("a", migrated=NOW - DAY), NOW - 2 * DAY),
        (Policy(freeze=NOW - DAY), PolicySubject("a"), None),
        (Policy(freeze=NOW - DAY), PolicySubject("a", is_new=True), NOW - DAY),
    ],
)
def test_from_when_on_it_is_refused_for_good(policy: Policy, party: PolicySubject, since: datetime | None) -> None:
    assert policy_effect(policy, party, NOW).refused_from == since


def test_of_several_parties_of_one_name_the_last_end_counts() -> None:
    moved, stays = (PolicySubject("a", migrated=NOW + days * DAY) for days in (1, 2))
    for parties in ([moved, stays], [stays, moved]):
        assert refusal_dates(Policy(), parties) == {"a": NOW + 2 * DAY}
        assert refusal_dates(Policy(), [*parties, PolicySubject("b")]) == {"a": NOW + 2 * DAY}
    for parties in (
        [moved, stays, PolicySubject("a")],
        [PolicySubject("a"), moved, stays],
        [moved, PolicySubject("a"), stays],
    ):
        assert refusal_dates(Policy(), parties) == {}
        assert refusal_dates(Policy(sunset=SUNSET), parties) == {"a": SUNSET}


# --- who is new


@pytest.mark.parametrize(("first", "refused"), [(NOW - 10 * DAY - TICK, None), (NOW - 10 * DAY, "frozen")])
def test_who_has_no_record_from_before_the_freeze_is_refused(tmp_path: Path, first: datetime, refused: Any) -> None:
    report = made(tmp_path, Policy(freeze=NOW - 10 * DAY), *beats(NOW - 40 * DAY), call(first))

    assert row_of(report, "nightly").effect.permanent_refusal == refused


def test_a_later_period_does_not_make_anybody_new(tmp_path: Path) -> None:
    policy, records = Policy(freeze=NOW - 10 * DAY), [*nightly(12, 1), *nightly(5, 1, "begun")]
    report = made(tmp_path, policy, *records, since=NOW - 3 * DAY)

    assert [(row.name, row.calls, row.effect.permanent_refusal) for row in report.callers] == [
        ("begun", 3, "frozen"),
        ("nightly", 3, None),
    ]


def test_where_the_log_has_nothing_from_before_the_freeze_nobody_is_new(tmp_path: Path) -> None:
    policy = Policy(freeze=NOW - 10 * DAY)

    assert row_of(made(tmp_path, policy, *nightly(5, 1)), "nightly").effect == PolicyEffect()
    longer = made(tmp_path, policy, *beats(NOW - 11 * DAY), *nightly(5, 1))
    assert row_of(longer, "nightly").effect.permanent_refusal == "frozen"


def test_a_caller_in_many_groups_is_new_in_all_of_them_or_in_none(tmp_path: Path) -> None:
    records = [call(NOW - 12 * DAY, repo="first"), call(NOW - 2 * DAY, repo="second")]
    report = made(tmp_path, Policy(freeze=NOW - 10 * DAY), *records, by="repo")

    assert {row.name: row.effect.permanent_refusal for row in report.rows} == {"acme/first": None, "acme/second": None}


# --- groups


def test_a_group_has_what_comes_first_and_is_refused_where_all_are(tmp_path: Path) -> None:
    rules = [rule("moved", owner="a", migrated=NOW - DAY), rule("going", owner="a", migrated=NOW + DAY)]
    rules += [rule("gone", owner="b", migrated=NOW - DAY)]
    records = [*nightly(9, 2, "moved"), *nightly(9, 2, "going"), *nightly(9, 2, "gone")]
    report = made(tmp_path, Policy(sunset=SUNSET), *records, rules=rules, by="owner")

    assert {row.name: row.effect.summary for row in report.rows} == {"a": "migrated 2026-11-25", "b": "refused"}


# --- the verdict

KEPT = beats(NOW - 40 * DAY)


def gone(ago: int, caller: str = "nightly") -> Record:
    return call(NOW - ago * DAY, caller, user_agent=f"{caller}/1", status=410, outcome="gone")


@pytest.mark.parametrize(
    ("records", "verdict"),
    [
        (nightly(40, 11), "safe"),
        (nightly(40, 10), "not_yet"),
        ([*nightly(40, 11), gone(3)], "safe"),
        ([*nightly(40, 10), gone(3)], "safe"),
        ([*nightly(40, 2), gone(3)], "not_yet"),
        ([*nightly(40, 11), *nightly(3, 3, status=410, outcome="brownout")], "safe"),
        ([*nightly(40, 11), *nightly(3, 3, status=400, outcome="rejected")], "safe"),
        ([*nightly(40, 11), *nightly(3, 3, status=502, outcome="unreachable")], "not_yet"),
        ([*nightly(40, 11), *nightly(3, 3, status=404, outcome="upstream_error")], "not_yet"),
    ],
    ids=[
        "silent since it is refused",
        "let through when it was refused already",
        "refused since",
        "refused since, though let through at first",
        "let through after it was refused",
        "in a brownout",
        "wrong",
        "forwarded in vain",
        "forwarded and wrong",
    ],
)
def test_who_is_refused_for_good_does_not_hold_up_the_removal(
    tmp_path: Path, records: list[Record], verdict: str
) -> None:
    rules = [rule("nightly", migrated=NOW - 10 * DAY)]
    report = made(tmp_path, Policy(), *KEPT, *records, rules=rules)

    assert row_of(report, "nightly").state in {"active", "fading", "quiet"}
    assert report.verdict == verdict, report.reasons
    assert (report.safe_at is None) is (verdict == "safe")
    assert (still_calling(report, timedelta(days=14)) == "nobody") is (verdict == "safe")


def test_the_reasons_say_who_is_refused_already_and_who_should_be(tmp_path: Path) -> None:
    moved, slipped = rule("moved", owner="a", migrated=NOW - 10 * DAY), rule("slipped", migrated=NOW - 10 * DAY)
    records = [*KEPT, *nightly(40, 11, "moved"), gone(3, "moved"), *nightly(40, 3, "slipped"), *nightly(40, 3)]
    report = made(tmp_path, Policy(sunset=NOW + 5 * DAY), *records, rules=[moved, slipped])

    assert report.verdict == "not_yet"
    assert report.reasons == [
        "nightly is active: last call 2026-11-21 00:00; refused from 2026-11-29;"
        " retired on 2026-12-05 if it never calls again",
        "slipped is active: last call 2026-11-21 00:00; it was accepted, although this policy refuses it since"
        " 2026-11-14; retired on 2026-12-05 if it never calls again",
        "moved of a is refused since 2026-11-14 (migrated): last call 2026-11-21 00:00",
    ]


def test_after_the_sunset_it_is_safe_however_often_somebody_calls(tmp_path: Path) -> None:
    records = [*KEPT, *nightly(40, 6), *(gone(ago) for ago in (5, 4, 3, 2, 1))]
    report = made(tmp_path, Policy(sunset=NOW - 5 * DAY), *records)

    assert report.verdict == "safe"
    assert report.reasons == [
        "every caller is retired or refused; the log covers 40d",
        "nightly is refused since 2026-11-19 (sunset): last call 2026-11-23 00:00",
    ]


def test_but_not_while_somebody_has_an_extension(tmp_path: Path) -> None:
    records = [*KEPT, *nightly(40, 1)]
    rules = [rule("nightly", extension=NOW + DAY)]

    assert made(tmp_path, Policy(sunset=NOW - 5 * DAY), *records, rules=rules).verdict == "not_yet"


def test_and_not_without_a_log_that_shows_it(tmp_path: Path) -> None:
    assert made(tmp_path, Policy(sunset=NOW - 5 * DAY), gone(1)).verdict == "cannot_tell"


def test_it_is_safe_at_the_earliest_when_all_are_retired_or_refused(tmp_path: Path) -> None:
    records = [*KEPT, *nightly(40, 3), *nightly(40, 3, "other")]

    assert made(tmp_path, Policy(), *records).safe_at == NOW + 11 * DAY
    assert made(tmp_path, Policy(sunset=NOW + 5 * DAY), *records).safe_at == NOW + 5 * DAY
    assert made(tmp_path, Policy(sunset=NOW + 50 * DAY), *records).safe_at == NOW + 11 * DAY
    other = [rule("other", extension=NOW + 8 * DAY)]
    late = made(tmp_path, Policy(sunset=NOW + 5 * DAY), *records, rules=other)
    assert late.last is not None
    assert (late.safe_at, late.last.name) == (NOW + 8 * DAY, "other")


# --- the forms


def forms(tmp_path: Path, policy: Policy, *records: Record, rules: Any = ()) -> dict[str, str]:
    found = analyzed(tmp_path, policy, *records, rules=rules)
    report = found.report
    first = make_profile(report.callers[0], found.details[report.callers[0].name], "https://api.example")
    return {
        "markdown": to_markdown(report, report.rows, found.read),
        "json": to_json(report, report.rows, found.read),
        "csv": to_csv(report, report.rows),
        "html": to_html(found, report.rows, "https://api.example"),
        "text": profile_to_text(first, report.now),
        "issue": profile_to_markdown(first, report.now),
    }


def titles(html: str) -> list[str]:
    root = ET.fromstring(html)  # noqa: S314 - our own page
    return ["".join(cell.itertext()) for cell in root.iter("th") if cell.get("scope") == "col"]


def test_where_nothing_is_planned_no_form_has_a_place_for_it(tmp_path: Path) -> None:
    made = forms(tmp_path, Policy(deprecated=NOW - DAY), *nightly(9, 1))

    assert made["markdown"].splitlines()[0].endswith("| state |")
    assert "next" not in titles(made["html"])
    assert "next" not in made["text"] + made["issue"] + made["html"].partition("<body>")[2]


def test_each_form_says_what_comes_next(tmp_path: Path) -> None:
    policy = Policy(sunset=SUNSET, brownouts=(once(NOW + 10 * HOUR, HOUR, "nightly"),))
    made = forms(tmp_path, policy, *nightly(9, 1))

    assert made["markdown"].splitlines()[0].endswith("| state | next |")
    assert made["markdown"].splitlines()[2].endswith("| active | brownout 2026-11-24 10:00 |")
    assert "next" in titles(made["html"])
    assert "<td>brownout 2026-11-24 10:00</td>" in made["html"]
    said = "brownout 2026-11-24 10:00 until 2026-11-24 11:00; permanently refused from 2026-12-14"
    assert f"  next          {said}\n" in made["text"]
    assert f"- next: `{said}`\n" in made["issue"]
    assert f"<dt>next</dt><dd>{said}</dd>" in made["html"]
    [row] = json.loads(made["json"])["callers"]
    assert row["next"] == {"at": "2026-11-24T10:00:00Z", "kind": "brownout", "until": "2026-11-24T11:00:00Z"}
    assert row["refused"] is None
    [line] = csv.DictReader(io.StringIO(made["csv"]))
    assert (line["next_at"], line["next_kind"]) == ("2026-11-24T10:00:00Z", "brownout")


def test_each_form_says_who_is_refused(tmp_path: Path) -> None:
    made = forms(tmp_path, Policy(), *nightly(9, 1), rules=[rule("nightly", migrated=NOW - DAY)])

    assert made["markdown"].splitlines()[2].endswith("| active | refused |")
    assert "  next          refused since 2026-11-23 (migrated)\n" in made["text"]
    [row] = json.loads(made["json"])["callers"]
    assert (row["next"], row["refused"]) == (None, "migrated")


def test_a_brownout_under_way_is_said_with_what_comes_after_it(tmp_path: Path) -> None:
    policy = Policy(sunset=SUNSET, brownouts=(once(NOW - HOUR, 2 * HOUR), once(NOW + DAY)))

    assert (
        "  next          refused until 2026-11-24 01:00; brownout 2026-11-25 until 2026-11-25 01:00;"
        " permanently refused from 2026-12-14\n" in forms(tmp_path, policy, *nightly(9, 1))["text"]
    )
