from datetime import datetime, timedelta
from pathlib import Path

import pytest

from proxy.callers.report.policy_effect import policy_effect, refusal_dates
from proxy.withdrawn.lifecycle import Policy, PolicySubject
from tests.callers.lines import DAY, NOW, nightly
from tests.callers.policies import once, rule
from tests.callers.reports import reported

TICK, HOUR = timedelta(microseconds=1), timedelta(hours=1)

SUNSET = NOW + 20 * DAY


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
def test_the_summary_says_what_comes_next(policy: Policy, party: PolicySubject, text: str) -> None:
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
def test_refused_from_is_when_the_permanent_refusal_begins(
    policy: Policy, party: PolicySubject, since: datetime | None
) -> None:
    assert policy_effect(policy, party, NOW).refused_from == since


def test_the_last_date_counts_if_several_parties_have_one_name() -> None:
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


def test_a_group_has_its_first_change_and_is_refused_if_all_its_callers_are(tmp_path: Path) -> None:
    rules = [rule("moved", owner="a", migrated=NOW - DAY), rule("going", owner="a", migrated=NOW + DAY)]
    rules += [rule("gone", owner="b", migrated=NOW - DAY)]
    records = [*nightly(9, 2, "moved"), *nightly(9, 2, "going"), *nightly(9, 2, "gone")]
    report = reported(tmp_path, *records, policy=Policy(sunset=SUNSET), rules=rules, by="owner")

    assert {row.name: row.effect.summary for row in report.rows} == {"a": "migrated 2026-11-25", "b": "refused"}
