import contextlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from proxy.callers.ledger import engines
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.ledger.tables.current_calls import CurrentDay
from proxy.callers.record import CallRecord, Record
from proxy.callers.report.analysis import Analysis, Logs, StoredLogs, analyze
from proxy.callers.report.brownout_calls import BrownoutCalls
from proxy.callers.report.brownout_results import BrownoutResult, Impact, brownout_results
from proxy.withdrawn.brownouts import Brownout, Recurring, Window
from proxy.withdrawn.lifecycle import Policy
from tests.callers.lines import DAY, NOW, beats, call, log, nightly
from tests.callers.policies import once, rule
from tests.support.ledgers import fill

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
BEGIN = NOW - 5 * DAY + 9 * HOUR
WINDOW = Window(BEGIN, BEGIN + 2 * HOUR)
POLICY = Policy(brownouts=(once(BEGIN, 2 * HOUR),))
KEPT = beats(NOW - 80 * DAY)
TOKEN = "0123456789ab"
BEFORE = nightly(20, 6)


def refused(at: datetime = BEGIN, caller: str = "nightly", **fields: Any) -> CallRecord:
    return call(at, caller, **{"outcome": "brownout", "status": 410, "user_agent": f"{caller}/1", **fields})


def results(
    folder: Path,
    *records: Record,
    policy: Policy = POLICY,
    rules: Any = (),
    days: dict[tuple[str, int], CurrentDay] | None = None,
    **options: Any,
) -> list[BrownoutResult]:
    """What a ledger of these records shows, and the log without current calls does as well."""
    address = str(folder / "callers.db")
    fill(address, *KEPT, *records)
    with contextlib.closing(Ledger(engines.connect(address))) as ledger:
        if days is not None:
            ledger.add_current_calls(days)
        found = _results(StoredLogs(ledger), policy, rules, options)
    if days is None:
        (folder / "log").write_bytes(log(*KEPT, *records))
        from_log = _results(Logs([str(folder / "log")]), policy, rules, options)
        assert list(map(_plain, found)) == list(map(_plain, from_log))
    return found


def _results(source: Any, policy: Policy, rules: Any, options: Any) -> list[BrownoutResult]:
    calls = BrownoutCalls()
    analysis: Analysis = analyze(source, list(rules), NOW, policy=policy, brownouts=calls, **options)
    return brownout_results(policy, calls, analysis.report, analysis.subjects)


def _plain(result: BrownoutResult) -> Any:
    return result.window, result.is_configured, [each._replace(row=None) for each in result.impacts]  # type: ignore[arg-type]


def only(found: Iterable[BrownoutResult]) -> Impact:
    [result] = found
    [impact] = result.impacts
    return impact


def test_a_caller_that_was_hit_tried_again_and_came_back(tmp_path: Path) -> None:
    tries = [refused(BEGIN + minutes * MINUTE) for minutes in (0, 1, 90)]
    other = [refused(BEGIN + HOUR, workflow="deploy")]
    found = only(results(tmp_path, *BEFORE, *tries, *other, call(WINDOW.end + 5 * HOUR)))

    assert found[1:] == ("hit", 4, 2, "back", WINDOW.end + 5 * HOUR, 0)


def test_a_caller_that_was_hit_and_is_silent_since(tmp_path: Path) -> None:
    assert only(results(tmp_path, *BEFORE, refused()))[1:] == ("hit", 1, 0, "silent", None, 0)


def current(moment: datetime) -> dict[tuple[str, int], CurrentDay]:
    return {(TOKEN, moment.toordinal()): CurrentDay(4, moment, moment)}


@pytest.mark.parametrize(
    ("later", "moment", "afterwards", "new_calls"),
    [
        ([], WINDOW.end + HOUR, "moved", 4),
        ([], WINDOW.begin - HOUR, "silent", 0),
        ([NOW - HOUR], NOW - 2 * HOUR, "back", 4),
    ],
)
def test_a_caller_has_moved_if_only_its_new_calls_go_on(
    tmp_path: Path, later: list[datetime], moment: datetime, afterwards: str, new_calls: int
) -> None:
    calls = [*nightly(20, 6, token=TOKEN), refused(token=TOKEN), *(call(at, token=TOKEN) for at in later)]
    found = only(results(tmp_path, *calls, days=current(moment)))

    assert (found.afterwards, found.new_calls) == (afterwards, new_calls)


def test_a_caller_that_came_back_and_moved_then_has_moved(tmp_path: Path) -> None:
    begin = NOW - 20 * DAY
    policy = Policy(brownouts=(once(begin),))
    calls = [*nightly(40, 18, token=TOKEN), refused(begin, token=TOKEN)]
    found = only(results(tmp_path, *calls, policy=policy, days=current(NOW - DAY)))

    assert (found.afterwards, found.back_at) == ("moved", begin + DAY)


@pytest.mark.parametrize(
    ("calls", "effects"),
    [
        (BEFORE, ["no call"]),
        ([call(NOW - 40 * DAY)], []),
        ([call(WINDOW.end)], []),
        ([*BEFORE, call(BEGIN + HOUR)], ["let through"]),
        ([*BEFORE, call(BEGIN + HOUR, outcome="rejected", status=400)], ["no call"]),
        ([*BEFORE, call(BEGIN + HOUR, outcome="gone", status=410)], ["no call"]),
    ],
    ids=["before it", "long before it", "new since", "in it", "a wrong call", "refused for good"],
)
def test_who_was_not_hit(tmp_path: Path, calls: list[Record], effects: list[str]) -> None:
    [result] = results(tmp_path, *calls)
    assert [each.effect for each in result.impacts] == effects


@pytest.mark.parametrize(
    ("minutes", "effect", "is_back"),
    [(50, "hit", False), (75, "hit", True), (100, "hit", True)],
    ids=["in its first hour", "in the hour of its end", "in the hour after it"],
)
def test_a_call_in_the_hour_of_the_end_came_afterwards(
    tmp_path: Path, minutes: int, effect: str, is_back: bool
) -> None:
    begin = BEGIN + 30 * MINUTE
    policy = Policy(brownouts=(once(begin, 40 * MINUTE),))
    calls = [*BEFORE, refused(begin + 10 * MINUTE), call(BEGIN + minutes * MINUTE)]
    found = only(results(tmp_path, *calls, policy=policy))

    assert (found.effect, found.back_at is not None) == (effect, is_back)


def test_only_callers_that_a_brownout_is_for_are_there(tmp_path: Path) -> None:
    policy = Policy(brownouts=(once(BEGIN, 2 * HOUR, "team-a", exempt=("smoke",)),))
    rules = [rule("nightly", owner="team-a"), rule("smoke", owner="team-a"), rule("other", owner="team-b")]
    rules += [rule("scanner", owner="team-a", ignore=True)]
    calls = [record for name in ("nightly", "smoke", "other", "scanner") for record in nightly(20, 1, name)]
    [result] = results(tmp_path, *calls, refused(), policy=policy, rules=rules)

    assert [each.row.name for each in result.impacts] == ["nightly"]


def test_windows_that_are_over_come_in_order(tmp_path: Path) -> None:
    weekly = Brownout(Recurring("0 9 * * TUE", HOUR, UTC))
    policy = Policy(brownouts=(once(NOW - HOUR, 2 * HOUR), *POLICY.brownouts, weekly))
    found = results(tmp_path, *BEFORE, policy=policy, since=NOW - 14 * DAY)

    tuesdays = [datetime(2026, 11, day, 9, tzinfo=UTC) for day in (10, 17)]
    assert [result.window.begin for result in found] == [tuesdays[0], tuesdays[1], BEGIN]


def test_a_window_that_has_left_the_configuration_is_known_by_the_hour(tmp_path: Path) -> None:
    tries = [refused(BEGIN + minutes * MINUTE) for minutes in (10, 70)]
    first, second = results(tmp_path, *nightly(20, 1), *tries, refused(NOW - DAY + 30 * MINUTE), policy=Policy())

    assert (first.window, first.is_configured) == (WINDOW, False)
    assert second.window == Window(NOW - DAY, NOW - DAY + HOUR)
    assert [(each.effect, each.refused) for each in first.impacts] == [("hit", 2)]


def test_strangers_are_not_there(tmp_path: Path) -> None:
    stranger = refused(caller="203.0.113.9 x", caller_source="address", client_ip="203.0.113.9")
    [result] = results(tmp_path, stranger)
    assert result.impacts == []


def test_names_are_chosen_by_what_was_done(tmp_path: Path) -> None:
    calls = [*BEFORE, *nightly(20, 1, "back"), *nightly(20, 1, "other"), refused(), refused(caller="back")]
    [result] = results(tmp_path, *calls)

    assert [result.names("hit"), result.names("hit", "back"), result.names("no call")] == [
        ["back", "nightly"],
        ["back"],
        ["other"],
    ]
