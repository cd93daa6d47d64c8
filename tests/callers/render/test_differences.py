import csv
import io
from pathlib import Path

import pytest

from proxy.callers.record import Record
from proxy.callers.render.differences import (
    compared,
    differences_to_csv,
    differences_to_json,
    differences_to_markdown,
    show_differences,
    summary,
)
from tests.callers.lines import DAY, NOW, beats, nightly
from tests.callers.policies import rule
from tests.callers.reports import reported

KEPT = beats(NOW - 80 * DAY)
NEW, GONE = nightly(3, 1, "<new>"), nightly(60, 8)
BACK = [*nightly(60, 40, "back"), *nightly(2, 1, "back")]


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([*NEW, *GONE, *BACK], "since last week: 1 gone, 1 new, 1 back"),
        (GONE, "since last week: 1 gone"),
        (nightly(60, 1), "since last week: nobody new, back or gone"),
    ],
)
def test_a_line_says_how_many_are_gone_new_and_back(tmp_path: Path, records: list[Record], said: str) -> None:
    found = reported(tmp_path, *KEPT, *records).differences
    assert found is not None
    assert summary(found) == said


def test_another_length_is_named_by_its_day(tmp_path: Path) -> None:
    found = reported(tmp_path, *KEPT, *GONE, compare=30 * DAY).differences
    assert found is not None
    assert summary(found).startswith("since 2026-10-25: ")


def test_every_format_has_the_figures(tmp_path: Path) -> None:
    report = reported(tmp_path, *KEPT, *NEW, *GONE, rules=[rule("nightly", owner="team-a")])
    out = io.StringIO()
    show_differences(report, report.rows, out)

    assert out.getvalue().splitlines() == [
        "since last week: 1 gone, 1 new",
        "",
        "change   caller   owner   before  since  new calls  last seen",
        "new      <new>    -            0      3          -  2026-11-23 00:00",
        "stopped  nightly  team-a       7      0          -  2026-11-16 00:00",
        "",
        "Calls from 2026-11-17 00:00 to 2026-11-24 00:00 UTC, and in the 7d before.",
    ]
    markdown = differences_to_markdown(report, report.rows).splitlines()
    assert markdown[0] == "since last week: 1 gone, 1 new"
    assert "| new | `<new>` | - | 0 | 3 | - | 2026-11-23 00:00 |" in markdown
    assert list(csv.reader(io.StringIO(differences_to_csv(report, report.rows)))) == [
        ["change", "caller", "owner", "before", "since", "new_calls", "last_seen"],
        ["new", "<new>", "", "0", "3", "0", "2026-11-23T00:00:00Z"],
        ["stopped", "nightly", "team-a", "7", "0", "0", "2026-11-16T00:00:00Z"],
    ]
    found = differences_to_json(report)
    assert found is not None
    assert (found["gone"], found["new"], found["back"]) == (1, 1, 0)
    assert [(each["change"], each["caller"], each["before"], each["since"]) for each in found["callers"]] == [
        ("new", "<new>", 0, 3),
        ("stopped", "nightly", 7, 0),
    ]


def test_rows_that_are_left_out_are_left_out_here(tmp_path: Path) -> None:
    report = reported(tmp_path, *KEPT, *NEW, *GONE)
    out = io.StringIO()
    show_differences(report, [row for row in report.rows if row.name == "nightly"], out)
    assert "<new>" not in out.getvalue()
    assert "nightly" in out.getvalue()


def test_where_there_is_nothing_to_compare_with_every_format_says_so(tmp_path: Path) -> None:
    report, out = reported(tmp_path, *beats(NOW - 9 * DAY), *NEW), io.StringIO()
    show_differences(report, report.rows, out)

    why = "There is nothing to compare with: the log begins too late, or goes on after --until."
    assert out.getvalue() == differences_to_markdown(report, report.rows) == f"{why}\n"
    assert compared(report) == why
    assert differences_to_csv(report, report.rows).count("\r\n") == 1
    assert differences_to_json(report) is None
