import io
import json
from pathlib import Path

import pytest

from proxy.callers.render.brownouts import NONE, heading, results_to_json, results_to_markdown, show_results, summary
from proxy.callers.report.analysis import Logs, analyze
from proxy.callers.report.brownout_calls import BrownoutCalls
from proxy.callers.report.brownout_results import BrownoutResult, brownout_results
from proxy.withdrawn.brownouts import Window
from proxy.withdrawn.lifecycle import Policy
from tests.callers.lines import DAY, NOW, beats, call, log, nightly
from tests.callers.policies import HOUR, once, rule

BEGIN = NOW - 5 * DAY + 9 * HOUR


@pytest.fixture
def found(tmp_path: Path) -> list[BrownoutResult]:
    records = [
        *beats(NOW - 40 * DAY),
        *nightly(20, 1),
        *nightly(20, 1, "<absent>"),
        *nightly(20, 6, "silent"),
        call(BEGIN + HOUR / 2, "through"),
        *(call(BEGIN, "nightly", outcome="brownout", status=410, user_agent="nightly/1") for _ in range(3)),
        call(BEGIN, "silent", outcome="brownout", status=410),
    ]
    (tmp_path / "log").write_bytes(log(*records))
    policy, calls = Policy(brownouts=(once(BEGIN),)), BrownoutCalls()
    rules = [rule("nightly", owner="team-a")]
    analysis = analyze(Logs([str(tmp_path / "log")]), rules, NOW, policy=policy, brownouts=calls)
    return brownout_results(policy, calls, analysis.report, analysis.subjects)


def test_the_table_has_who_was_hit_and_who_was_not(found: list[BrownoutResult]) -> None:
    out = io.StringIO()
    show_results(found, out)

    assert out.getvalue().splitlines() == [
        "Brownout of 2026-11-19 09:00 to 10:00 UTC",
        "It hit 2 callers: 1 called again afterwards, 1 silent since. 1 called in it and was let through: it was not in"
        " force there. 1 did not call in it, so it proves nothing there.",
        "",
        "caller    owner   in it        refused  again  afterwards  new calls  last seen",
        "nightly   team-a  hit                3      2  back                -  2026-11-23 00:00",
        "silent    -       hit                1      -  silent              -  2026-11-19 09:00",
        "through   -       let through        -      -  -                   -  2026-11-19 09:30",
        "<absent>  -       no call            -      -  -                   -  2026-11-23 00:00",
    ]


def test_markdown_and_json_have_the_same(found: list[BrownoutResult]) -> None:
    markdown = results_to_markdown(found).splitlines()
    assert markdown[0] == "## Brownout of 2026-11-19 09:00 to 10:00 UTC"
    assert markdown[2] == summary(found[0])
    assert "| `<absent>` | - | no call | - | - | - | - | 2026-11-23 00:00 |" in markdown

    [window] = json.loads(results_to_json(found))["brownouts"]
    assert (window["from"], window["to"], window["configured"]) == (
        "2026-11-19T09:00:00Z",
        "2026-11-19T10:00:00Z",
        True,
    )
    assert window["callers"][0] == {
        "caller": "nightly",
        "owner": "team-a",
        "effect": "hit",
        "refused": 3,
        "again": 2,
        "afterwards": "back",
        "back_at": "2026-11-20T00:00:00Z",
        "new_calls": 0,
        "last_seen": "2026-11-23T00:00:00Z",
    }
    assert [each["effect"] for each in window["callers"]] == ["hit", "hit", "let_through", "no_call"]


def test_where_there_was_none_every_format_says_so() -> None:
    out = io.StringIO()
    show_results([], out)

    assert out.getvalue() == f"{NONE}\n"
    assert results_to_markdown([]) == f"{NONE}\n"
    assert json.loads(results_to_json([])) == {"brownouts": []}


@pytest.mark.parametrize(
    ("window", "is_configured", "said"),
    [
        (Window(BEGIN, BEGIN + DAY), True, "Brownout of 2026-11-19 09:00 to 2026-11-20 09:00 UTC"),
        (
            Window(BEGIN, BEGIN + HOUR),
            False,
            "Brownout of about 2026-11-19 09:00 to 10:00 UTC, which is not in the configuration any more",
        ),
    ],
)
def test_the_heading_says_when_it_was(window: Window, is_configured: bool, said: str) -> None:
    assert heading(BrownoutResult(window, is_configured, [])) == said
    assert summary(BrownoutResult(window, is_configured, [])) == "It hit 0 callers."
