"""Tables on terminals of every width."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from proxy.callers.render.formats import show_screen, show_table
from proxy.callers.report.aggregator import DIMENSIONS, Dimension
from proxy.callers.report.report import CallerReport
from proxy.withdrawn.lifecycle import Policy
from tests.callers.lines import DAY, NOW, beats, call
from tests.callers.policies import once
from tests.callers.reports import analyzed
from tests.support.terminals import Terminal, plain

AGENT = "Mozilla/5.0 (compatible; legacy-ci/1.0; +https://ci.example/bot) python-requests/2.32"
NAMES = [
    "nightly",
    f"10.1.2.3 {AGENT}",
    "夜" * 60,
    "e\u0301" * 90,
    "a\u200bb\x1b[2J" * 9,
    "|" * 99,
    " ",
    "@team",
    "x" * 120,
]
WIDTHS = [*range(80, 160, 3), 200]
"""All other dimensions have the same columns but one, so the narrowest and the widest do."""

ESSENTIAL = ["calls", "last seen", "state"]


def report(folder: Path, by: Dimension) -> CallerReport:
    policy = Policy(sunset=NOW + 20 * DAY, brownouts=(once(NOW + DAY, timedelta(minutes=5), "nightly"),))
    fields: list[dict[str, Any]] = [
        {"owner": name, "run_user": name, "user_agent": name, "workflow": name, "repo": name, "endpoint": name}
        for name in NAMES
    ]
    calls = [call(NOW - days * DAY, name, **more) for name, more in zip(NAMES, fields, strict=True) for days in (1, 40)]
    return analyzed(folder, *beats(NOW - 80 * DAY), *calls, policy=policy, by=by).report


@pytest.mark.parametrize("by", DIMENSIONS)
def test_a_table_fits_and_names_what_it_leaves_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: Dimension
) -> None:
    found = report(tmp_path, by)
    all_titles = {
        by,
        "owner",
        "user",
        "trend",
        "interval",
        "errors",
        "next",
        *ESSENTIAL,
        *(["callers"] if by != "caller" else []),
    }
    for width in WIDTHS if by == "caller" else WIDTHS[:: len(WIDTHS) - 1]:
        monkeypatch.setenv("COLUMNS", str(width))
        out = Terminal()
        show_table(found, found.rows, out)
        lines = plain(out.shown()).partition("\n\n")[2].splitlines()  # below what has changed
        titles = re.split(r" {2,}", lines[0])

        assert max(map(cell_len, lines)) <= width, width
        assert {by, *ESSENTIAL} <= set(titles), width
        for line, row in zip(lines[1:], found.rows, strict=False):
            assert re.search(rf"  {row.calls}  .*{row.last_seen:%Y-%m-%d %H:%M}  .*{row.state}\b", line), (width, line)
        _, _, said = plain(out.shown()).replace("\n", " ").partition("Not shown at this width: ")
        left_out = [title for title in said.partition(". --format json has them.")[0].split(", ") if title]
        assert {*titles, *left_out} == all_titles, width
        assert len(titles) + len(left_out) == len(all_titles), width


def test_one_long_name_does_not_eat_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = [call(caller=f"10.1.2.3 {AGENT}", owner="team-a", run_user="alice"), call(caller="nightly", owner="team-b")]
    found = analyzed(tmp_path, *calls).report
    monkeypatch.setenv("COLUMNS", "120")
    out = Terminal()
    show_table(found, found.rows, out)

    titles, long, short, *_ = plain(out.shown()).splitlines()
    assert titles.split("  ")[0] == "caller"
    assert long.startswith("10.1.2.3 Mozilla/5.0 (")
    assert re.search(r"…  team-a  alice +1  .*active$", long)
    assert re.search(r"^nightly +team-b  - .*active$", short)


@pytest.mark.parametrize("lines", [12, 24, 50])
def test_a_screen_has_as_many_rows_as_fit_and_the_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: int
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    made = analyzed(
        tmp_path, *beats(NOW - 5 * DAY), *(call(NOW - DAY, f"caller-{index:02}") for index in range(40))
    ).report
    out = Terminal()
    show_screen(made, made.rows, out, lines)
    shown = plain(out.shown()).splitlines()
    rows = [line for line in shown if line.startswith("caller-")]
    assert len(shown) <= lines
    assert len(rows) == min(lines - 8, 40)
    assert (f"and {40 - len(rows)} more rows" in shown) == (len(rows) < 40)
    assert any(line.startswith("Verdict: not yet") for line in shown)
    assert shown[-1] == f"As of {NOW:%Y-%m-%d %H:%M:%S} UTC. Press Ctrl-C to end."


def test_a_small_screen_has_one_row(tmp_path: Path) -> None:
    made = analyzed(tmp_path, call(NOW - DAY, "a"), call(NOW - DAY, "b")).report
    out = Terminal()
    show_screen(made, made.rows, out, 3)
    assert "and 1 more row\n" in plain(out.shown())
