from pathlib import Path

from proxy.callers.render.apart import said_apart
from tests.callers.lines import DAY, NOW, call, nightly
from tests.callers.policies import rule
from tests.callers.reports import reported


def test_nothing_is_said_of_usual_callers(tmp_path: Path) -> None:
    assert said_apart(reported(tmp_path, *nightly(9, 1))) == []


def test_each_kind_has_its_sentence(tmp_path: Path) -> None:
    stranger = call(caller="203.0.113.9 x", caller_source="address", client_ip="203.0.113.9", status=401)
    failing = [
        *nightly(9, 3, "old", status=404, outcome="rejected"),
        *nightly(2, 1, "old", status=499, outcome="rejected"),
    ]
    rules = [rule("nightly", owner="team-a", promised=NOW - 3 * DAY), rule("scanner", ignore=True)]
    report = reported(tmp_path, *nightly(9, 1), *failing, *nightly(4, 1, "scanner"), stranger, rules=rules)

    assert said_apart(report, lambda text: f"<{text}>") == [
        "Promised to have stopped, and still called: <nightly of team-a> (2026-11-21).",
        "No call of 1 caller ever worked. They lose nothing by the removal, and have no say in the verdict:",
        "  <old>: 404 Not Found (7), 499 (2)",
        "Ignored callers made 4 calls: <scanner>. They have no say in the verdict.",
        "Strangers made 1 call from 1 network, the last at 2026-11-23 00:00. They had no token, or none that the"
        " service accepted, and have no say in the verdict.",
    ]


def test_only_the_first_callers_are_named(tmp_path: Path) -> None:
    failing = [call(caller=f"old{number:02}", status=404, outcome="rejected") for number in range(12)]
    said = said_apart(reported(tmp_path, *failing))

    assert said[0].startswith("No call of 12 callers ever worked.")
    assert (len(said), said[-1]) == (12, "  and 2 more")
