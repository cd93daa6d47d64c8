from pathlib import Path

import pytest

from proxy.callers.identity import Rule
from proxy.callers.render import page_table
from proxy.callers.render.page_table import Table, table_columns
from proxy.callers.report.report import CallerReport
from proxy.withdrawn.lifecycle import Policy
from tests.callers.render.sample_page import usual
from tests.callers.sample import DAY, NOW, analyzed, beats, call


def titles(report: CallerReport) -> list[str]:
    return [column.title for column in table_columns(report, report.rows)]


def test_state_and_next_step_come_first(tmp_path: Path) -> None:
    report = analyzed(tmp_path, usual()).report
    assert titles(report) == ["caller", "state", "next step", "owner", "calls", "errors", "trend", "last seen"]


def test_contacts_have_a_column_where_there_are_any(tmp_path: Path) -> None:
    rules = [Rule("nightly", contact="a@acme.example", agents=("curl/8",))]
    report = analyzed(tmp_path, usual(), rules=rules).report
    assert titles(report)[3:5] == ["owner", "contact"]
    first, *_ = Table(report, report.rows, None).bodies()
    assert '<td class="k"><a href="mailto:a@acme.example">a@acme.example</a></td>' in first


def test_groups_have_their_callers_and_what_the_policy_does(tmp_path: Path) -> None:
    by_repo = analyzed(tmp_path, usual(), by="repo", policy=Policy(sunset=NOW + DAY)).report
    assert titles(by_repo)[:5] == ["repo", "callers", "state", "next", "owner"]
    by_owner = analyzed(tmp_path, usual(), by="owner").report
    assert titles(by_owner)[:4] == ["owner", "callers", "state", "calls"]


def test_a_row_has_a_cell_for_each_column(tmp_path: Path) -> None:
    report = analyzed(tmp_path, [*beats(3), call("<a>", DAY, owner="team-b", status=500)]).report
    (body,) = Table(report, report.rows, None).bodies()
    assert body == (
        '<tbody class="active"><tr><th scope="row">&lt;a&gt;</th><td class="s"><span>active</span></td>'
        '<td class="x">move to the new call</td><td class="o">team-b</td><td class="c">1</td><td class="e">100%</td>'
        '<td class="t"><svg aria-hidden="true" width="12" height="18"><path d="M6 18v-18h2v18z"/></svg></td>'
        '<td class="l">2026-03-30 12:00</td></tr></tbody>\n'
    )


def test_a_long_table_has_no_trends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_table, "MAX_TRENDS", 3)
    assert "trend" not in titles(analyzed(tmp_path, usual()).report)


def test_the_first_rows_have_as_many_details_as_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = analyzed(tmp_path, usual()).report
    plain = Table(report, report.rows, None)
    bodies = list(plain.bodies())
    assert plain.detailed == 0
    monkeypatch.setattr(page_table, "MAX_BYTES", sum(map(len, bodies)) + 4000)
    table = Table(report, report.rows, lambda _: "\u591c" * 250)  # 2,000 characters, as ASCII
    found = list(table.bodies())
    assert table.detailed == 1
    assert [body.count("<details>") for body in found] == [1, 0, 0, 0]
    assert found[1:] == bodies[1:]
    assert found[0].isascii()


def test_rows_that_are_too_long_have_no_details(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = analyzed(tmp_path, usual()).report
    monkeypatch.setattr(page_table, "MAX_BYTES", 10)
    table = Table(report, report.rows, lambda _: "details")
    assert (len(list(table.bodies())), table.detailed) == (4, 0)
