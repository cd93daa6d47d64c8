from datetime import timedelta
from pathlib import Path

from proxy.callers.record import Record
from proxy.callers.report.burn_down import BurnDownDay, burn_down
from proxy.withdrawn.lifecycle import Policy
from tests.callers.lines import DAY, NOW, beats, call, nightly
from tests.callers.policies import once, rule
from tests.callers.reports import reported

HOUR = timedelta(hours=1)


def days(folder: Path, *records: Record, **options: object) -> list[BurnDownDay]:
    return burn_down(reported(folder, *beats(NOW - 20 * DAY), *records, **options))


def test_each_day_has_its_calls_and_the_callers_that_were_not_gone(tmp_path: Path) -> None:
    found = days(tmp_path, *nightly(15, 1), *nightly(15, 10, "gone"), *nightly(2, 1, "new"))

    assert [(NOW - each.day).days for each in found] == list(range(20, -1, -1))
    assert [each.calls for each in found] == [0] * 5 + [2] * 6 + [1] * 7 + [2] * 2 + [0]
    assert [each.callers for each in found] == [0] * 5 + [2] * 13 + [3] * 3
    assert [each.calling for each in found] == [0] * 5 + [2] * 6 + [1] * 7 + [2] * 3


def test_a_retired_caller_counts_until_its_last_call(tmp_path: Path) -> None:
    report = reported(tmp_path, *beats(NOW - 90 * DAY), *nightly(88, 50), since=NOW - 51 * DAY)

    assert [each.callers for each in burn_down(report)] == [1, 1] + [0] * 50


def test_a_period_has_the_callers_from_before_it(tmp_path: Path) -> None:
    found = days(tmp_path, *nightly(15, 1), *nightly(15, 10, "gone"), since=NOW - 2 * DAY)

    assert [(each.calls, each.calling) for each in found] == [(1, 1), (1, 1), (0, 1)]


def test_callers_apart_do_not_count(tmp_path: Path) -> None:
    failing = nightly(3, 1, "failing", status=404, outcome="rejected")
    found = days(tmp_path, *nightly(3, 1, "scanner"), *failing, rules=[rule("scanner", ignore=True)])

    assert {(each.calls, each.callers) for each in found} == {(0, 0)}


def test_a_day_has_its_share_of_the_log_and_what_the_policy_changed(tmp_path: Path) -> None:
    policy = Policy(
        sunset=NOW + DAY,
        freeze=NOW - 2 * DAY,
        brownouts=(once(NOW - 2 * DAY, HOUR), once(NOW - 2 * DAY + 6 * HOUR, HOUR), once(NOW - 5 * DAY, 2 * DAY)),
    )
    records: list[Record] = [
        *beats(NOW - 6 * DAY, NOW - 3 * DAY),
        *beats(NOW - 2 * DAY - 12 * HOUR, instance="b:1"),
        call(),
    ]
    found = {(NOW - each.day).days: each for each in burn_down(reported(tmp_path, *records, policy=policy))}

    assert [found[ago].coverage for ago in (6, 4, 3, 2)] == [1, 1, 0.5, 1]
    assert {ago: each.marks for ago, each in found.items() if each.marks} == {
        5: ["brownout"],
        4: ["brownout"],
        2: ["freeze", "brownout"],
    }
