from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from proxy.callers.policy_digest import policy_digest
from proxy.callers.record import Heartbeat, Record
from proxy.withdrawn.lifecycle import Policy
from tests.callers.lines import DAY, NOW, beats, call, nightly
from tests.callers.policies import rule
from tests.callers.reports import reported

SUNSET = Policy(sunset=NOW - 20 * DAY)
OURS, OTHER = policy_digest(SUNSET, []), policy_digest(Policy(), [])
SINCE = NOW - 60 * DAY


def kept(digest: str | None, since: datetime = SINCE, until: datetime = NOW, instance: str = "a:1") -> list[Heartbeat]:
    return [msgspec.structs.replace(beat, policy=digest) for beat in beats(since, until, instance)]


def stopped(digest: str | None, until: datetime) -> list[Heartbeat]:
    *before, last = kept(digest, until=until, instance="b:1")
    return [*before, msgspec.structs.replace(last, at="stop")]


SILENT = nightly(60, 21)
GONE = [call(NOW - 15 * DAY, status=410, outcome="gone", user_agent="nightly/1")]


@pytest.mark.parametrize(
    ("records", "is_refused"),
    [
        ([*kept(OURS), *SILENT], True),
        ([*kept(OURS), *kept(OURS, instance="b:1"), *SILENT], True),
        ([*kept(None), *SILENT], False),
        ([*kept(None), *SILENT, *GONE], True),
        ([*kept(OTHER), *SILENT, *GONE], False),
        ([*kept(OURS), *kept(OTHER, instance="b:1"), *SILENT, *GONE], False),
        ([*kept(OURS), *kept(None, instance="b:1"), *SILENT], False),
        ([*kept(OURS), *kept(None, instance="b:1"), *SILENT, *GONE], True),
        ([*kept(OURS), *stopped(OTHER, NOW - 10 * DAY), *SILENT], True),
        ([*kept(OURS), *stopped(OTHER, NOW - 10 * DAY), *nightly(60, 11)], True),
        ([*kept(OURS), *stopped(OTHER, NOW - 10 * DAY), *nightly(60, 9)], False),
        ([*kept(OURS), *nightly(60, 19)], False),
        ([*kept(None), *nightly(60, 17), *GONE], False),
        ([*kept(None), *SILENT, *GONE, *nightly(17, 17, "other")], False),
    ],
    ids=[
        "the heartbeats show it",
        "those of two replicas do",
        "nothing shows it",
        "a log without digests, but it was refused",
        "another policy is in force",
        "one replica has another policy",
        "one replica does not say",
        "one replica does not say, but the caller was refused",
        "a replica with another policy has stopped",
        "let through by one that has stopped",
        "let through after that",
        "let through although all replicas have it",
        "refused after it was let through, in a log without digests",
        "another caller was let through, in a log without digests",
    ],
)
def test_a_caller_is_refused_if_the_log_shows_it(tmp_path: Path, records: list[Record], is_refused: bool) -> None:
    report = reported(tmp_path, *records, policy=SUNSET)

    assert {row.name: row.is_refused for row in report.callers}["nightly"] is is_refused


def test_a_caller_of_several_rules_is_refused_once_all_of_them_say_so(tmp_path: Path) -> None:
    moved, stays = rule("nightly", migrated=NOW - 20 * DAY), rule("nightly", extension=NOW + 9 * DAY)
    late = rule("nightly", migrated=NOW - 10 * DAY)
    for rules, last in (([moved, stays], 21), ([stays, moved], 21), ([moved, late], 11), ([late, moved], 11)):
        records = [*kept(policy_digest(Policy(), rules)), *nightly(60, last)]
        [row] = reported(tmp_path, *records, rules=rules).callers
        assert row.is_refused is (stays not in rules)
