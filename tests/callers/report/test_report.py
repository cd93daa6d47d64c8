from datetime import timedelta
from pathlib import Path

import pytest

from proxy.callers.record import Record
from proxy.callers.report.report import still_calling
from proxy.withdrawn.lifecycle import Policy
from tests.callers.lines import DAY, NOW, beats, call, nightly
from tests.callers.policies import once, rule
from tests.callers.reports import reported, row_of


@pytest.mark.parametrize(
    ("records", "verdict"),
    [
        ([], "cannot_tell"),
        (beats(NOW - 44 * DAY), "cannot_tell"),
        (beats(NOW - 45 * DAY), "safe"),
        ([*beats(NOW - 80 * DAY), *nightly(80, 32)], "not_yet"),
        ([*beats(NOW - 80 * DAY), *nightly(80, 33)], "safe"),
        (nightly(80, 33), "cannot_tell"),
        (nightly(40, 1), "not_yet"),
        ([*beats(NOW - 80 * DAY, NOW - 5 * DAY), *nightly(80, 33)], "cannot_tell"),
        ([*beats(NOW - 40 * DAY, NOW - 5 * DAY), *nightly(40, 3)], "not_yet"),
        ([*beats(NOW - 70 * DAY), call(NOW - 61 * DAY)], "not_yet"),
        ([*beats(NOW - 70 * DAY), call(NOW - 63 * DAY)], "safe"),
    ],
    ids=[
        "an empty log",
        "nobody, in a log of a month",
        "nobody, in a log of a month and a half",
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
    report = reported(tmp_path, *records)

    assert report.verdict == verdict, report.reasons
    assert report.reasons


def test_the_reasons_say_who_still_calls_and_when_it_is_retired(tmp_path: Path) -> None:
    records = [*beats(NOW - 40 * DAY), *nightly(40, 3), call(NOW - 30 * DAY, "x" * 500, owner="team-a")]
    report = reported(tmp_path, *records)

    assert report.reasons == [
        "nightly is active: last call 2026-11-21 00:00; retired on 2026-12-23 if it never calls again",
        f"{'x' * 79}… of team-a is quiet: last call 2026-10-25 00:00; retired on 2026-12-26 if it never calls again",
    ]
    assert report.safe_at == NOW + 32 * DAY


def test_a_period_that_begins_before_the_log_begins_with_a_gap(tmp_path: Path) -> None:
    report = reported(tmp_path, *beats(NOW - 10 * DAY), since=NOW - 30 * DAY)

    assert [tuple(gap) for gap in report.coverage.gaps] == [(NOW - 30 * DAY, NOW - 10 * DAY)]
    assert report.verdict == "cannot_tell"


# --- with a policy


KEPT = beats(NOW - 60 * DAY)


def gone(ago: int, caller: str = "nightly") -> Record:
    return call(NOW - ago * DAY, caller, user_agent=f"{caller}/1", status=410, outcome="gone")


@pytest.mark.parametrize(
    ("records", "verdict"),
    [
        (nightly(60, 11), "not_yet"),
        ([*nightly(60, 11), gone(3)], "safe"),
        ([*nightly(60, 10), gone(3)], "not_yet"),
        ([*nightly(60, 2), gone(3)], "not_yet"),
        ([*nightly(60, 11), gone(4), *nightly(3, 3, status=410, outcome="brownout")], "safe"),
        ([*nightly(60, 11), gone(4), *nightly(3, 3, status=400, outcome="rejected")], "safe"),
        ([*nightly(60, 11), gone(4), *nightly(3, 3, status=502, outcome="unreachable")], "not_yet"),
        ([*nightly(60, 11), gone(4), *nightly(3, 3, status=404, outcome="upstream_error")], "not_yet"),
    ],
    ids=[
        "silent since it should be refused",
        "refused",
        "refused, though let through at first",
        "let through after it was refused",
        "in a brownout",
        "wrong",
        "forwarded in vain",
        "forwarded and wrong",
    ],
)
def test_callers_that_were_refused_do_not_block_removal(tmp_path: Path, records: list[Record], verdict: str) -> None:
    rules = [rule("nightly", migrated=NOW - 10 * DAY)]
    report = reported(tmp_path, *KEPT, *records, rules=rules)

    assert row_of(report, "nightly").state in {"active", "fading", "quiet"}
    assert report.verdict == verdict, report.reasons
    assert (report.safe_at is None) is (verdict == "safe")
    assert (still_calling(report, timedelta(days=14)) == "nobody") is (verdict == "safe")


def test_the_reasons_say_who_is_refused_and_who_should_be(tmp_path: Path) -> None:
    moved, slipped = rule("moved", owner="a", migrated=NOW - 10 * DAY), rule("slipped", migrated=NOW - 10 * DAY)
    records = [*KEPT, *nightly(40, 11, "moved"), gone(3, "moved"), *nightly(40, 3, "slipped"), *nightly(40, 3)]
    report = reported(tmp_path, *records, policy=Policy(sunset=NOW + 5 * DAY), rules=[moved, slipped])

    assert report.verdict == "not_yet"
    assert report.reasons == [
        # Where one caller slips through, another may, too.
        "moved of a is active: last call 2026-11-21 00:00; this policy refuses it since 2026-11-14, but the log does"
        " not show that every instance does; retired on 2026-12-23 if it never calls again",
        "nightly is active: last call 2026-11-21 00:00; refused from 2026-11-29;"
        " retired on 2026-12-23 if it never calls again",
        "slipped is active: last call 2026-11-21 00:00; it was accepted, although this policy refuses it since"
        " 2026-11-14; retired on 2026-12-23 if it never calls again",
    ]


def test_after_the_sunset_refused_calls_do_not_block_removal(tmp_path: Path) -> None:
    records = [*KEPT, *nightly(60, 6), *(gone(ago) for ago in (5, 4, 3, 2, 1))]
    report = reported(tmp_path, *records, policy=Policy(sunset=NOW - 5 * DAY))

    assert report.verdict == "safe"
    assert report.reasons == [
        "every caller is retired or refused; the log covers 60d. A job that runs less often than every 60 days would"
        " not be seen",
        "nightly is refused since 2026-11-19 (sunset): last call 2026-11-23 00:00",
    ]


def test_a_caller_with_an_extension_blocks_removal_after_the_sunset(tmp_path: Path) -> None:
    records = [*KEPT, *nightly(40, 1)]
    rules = [rule("nightly", extension=NOW + DAY)]

    assert reported(tmp_path, *records, policy=Policy(sunset=NOW - 5 * DAY), rules=rules).verdict == "not_yet"


def test_after_the_sunset_the_log_must_still_cover_a_month(tmp_path: Path) -> None:
    report = reported(tmp_path, gone(1), policy=Policy(sunset=NOW - 5 * DAY))

    assert report.verdict == "cannot_tell"
    assert report.safe_at == NOW + 0.99 * timedelta(days=45)


def test_safe_at_is_when_the_last_caller_is_retired_or_refused(tmp_path: Path) -> None:
    records = [*KEPT, *nightly(60, 3), *nightly(60, 3, "other")]
    retired = NOW + 29.5 * DAY

    assert reported(tmp_path, *records).safe_at == retired
    assert reported(tmp_path, *records, policy=Policy(sunset=NOW + 5 * DAY)).safe_at == NOW + 5 * DAY
    assert reported(tmp_path, *records, policy=Policy(sunset=NOW + 50 * DAY)).safe_at == retired
    other = [rule("other", extension=NOW + 8 * DAY)]
    late = reported(tmp_path, *records, policy=Policy(sunset=NOW + 5 * DAY), rules=other)
    assert late.last is not None
    assert (late.safe_at, late.last.name) == (NOW + 8 * DAY, "other")


@pytest.mark.parametrize("records", [nightly(20, 3), []], ids=["not yet", "cannot tell"])
def test_safe_at_counts_the_days_that_the_log_must_cover(tmp_path: Path, records: list[Record]) -> None:
    kept = [*beats(NOW - 80 * DAY, NOW - 20 * DAY), *beats(NOW - 10 * DAY, instance="b:1")]
    report = reported(tmp_path, *kept, *records, policy=Policy(sunset=NOW + DAY))

    assert report.verdict == ("not_yet" if records else "cannot_tell")
    # The gap ended ten days ago; at most 1 % of the last 45 days may be in it.
    assert report.safe_at == NOW - 10 * DAY + 0.99 * timedelta(days=45)


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
def test_the_gate_looks_only_at_its_window(tmp_path: Path, records: list[Record], gate: str) -> None:
    assert still_calling(reported(tmp_path, *records), timedelta(days=14)) == gate


def test_the_marks_are_the_changes_from_the_begin_of_the_log_until_the_sunset(tmp_path: Path) -> None:
    brownouts = tuple(once(NOW + days * DAY) for days in (-90, -5, 5, 50))
    policy = Policy(sunset=NOW + 40 * DAY, freeze=NOW + 20 * DAY, brownouts=brownouts)
    report = reported(tmp_path, *beats(NOW - 80 * DAY), call(), policy=policy)

    assert [(change.kind, (change.at - NOW).days) for change in report.marks] == [
        ("brownout", -5),
        ("brownout", 5),
        ("freeze", 20),
        ("sunset", 40),
    ]
    assert [change.kind for change in reported(tmp_path, call(), policy=Policy(freeze=NOW)).marks] == ["freeze"]
