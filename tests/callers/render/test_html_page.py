import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from proxy.callers.identity import Rule
from proxy.callers.record import CallRecord
from proxy.callers.render import assets, page_table
from proxy.callers.render.assets import POLICY
from proxy.callers.render.html_page import figures, to_html
from proxy.callers.render.profile import make_profile
from proxy.withdrawn.lifecycle import Policy
from tests.callers.render.sample_page import BASE, BIDI, HOSTILE, LONG, forty, hostile, many, page, read, usual
from tests.callers.sample import DAY, NOW, analyzed, beats, call, daily
from tests.support.paths import ROOT


def text_of(element: ET.Element) -> str:
    return " ".join(" ".join(element.itertext()).split())


def by_class(root: ET.Element, name: str) -> list[ET.Element]:
    return [element for element in root.iter() if name in element.get("class", "").split()]


# --- what it says


def test_the_page_begins_with_the_verdict_and_its_date(tmp_path: Path) -> None:
    root = read(page(tmp_path, usual()))
    (verdict,) = by_class(root, "verdict")
    assert text_of(verdict) == (
        "Not yet as of 2026-03-31 12:00 UTC; safe to remove on 2026-05-27 at the earliest, if nobody calls again"
    )


def test_four_figures_say_how_far_it_is(tmp_path: Path) -> None:
    records = [*usual(), *daily("new", 6, 0)]
    (figures,) = by_class(read(page(tmp_path, records)), "figures")
    assert [text_of(figure) for figure in figures] == [
        "calling 4",
        "gone 1",
        "new in the last 7 days 2",
        "calling, without an owner 3",
    ]


def test_a_successor_is_not_new(tmp_path: Path) -> None:
    fields = {"user_agent": "ci/1", "client_ip": "10.0.0.1"}
    records = [*beats(70), *daily("old", 65, 5, **fields), *daily("rotated", 4, 0, **fields)]
    report = analyzed(tmp_path, records, policy=Policy(freeze=NOW - DAY * 20)).report
    assert figures(report) == (2, 0, 0, 2)
    assert figures(analyzed(tmp_path, records).report) == (2, 0, 1, 2)


def test_the_page_says_why_and_what_retired_means(tmp_path: Path) -> None:
    root = read(page(tmp_path, usual()))
    reasons = [text_of(reason) for reason in by_class(root, "reasons")[0]]
    assert reasons[0].startswith("nightly of Platform is active: last call 2026-03-31 12:00")
    assert len(reasons) == 3
    assert "1 of 4 callers are retired. A job is retired after a silence of 31 days" in text_of(root)


def test_the_page_says_what_was_read_and_what_is_missing(tmp_path: Path) -> None:
    text = text_of(read(page(tmp_path, usual())))
    assert "No log from 2026-03-11 12:00 to 2026-03-13 12:00: 2d" in text
    assert "The log covers 97.1% of the time since 2026-01-20 12:00." in text
    calls = sum(isinstance(record, CallRecord) for record in usual())
    assert f"Read {calls} calls and {len(usual()) - calls} heartbeats in 1 file; skipped 0 lines." in text


def test_a_long_list_of_reasons_is_cut_with_a_note(tmp_path: Path) -> None:
    records = [*beats(40), *(call(f"c{index}", DAY) for index in range(14))]
    reasons = by_class(read(page(tmp_path, records)), "reasons")[0]
    assert len(reasons) == 6
    assert text_of(reasons[-1]) == "and 9 more"


def test_the_projection_and_the_marks_are_shown_and_said(tmp_path: Path) -> None:
    root = read(forty(tmp_path))
    assert len(by_class(root, "projection")) == 1
    assert [element.tag for element in by_class(root, "sunset")] == ["rect", "text"]
    assert [element.tag for element in by_class(root, "freeze")] == ["rect", "text"]
    assert [element.tag for element in by_class(root, "brownout")] == ["rect"] * 3 + ["span"]
    text = text_of(root)
    assert (
        "Projection: nobody is left on 2026-07-02, if callers go on leaving as from 2026-01-03 to 2026-02-28:"
        " 1.5 a week, in a straight line. Whoever stopped later is not known to be gone yet."
    ) in text
    assert "brownout 2026-03-26 12:00 to 2026-03-26 14:00 for mobile, brownout 2026-04-14 12:00" in text
    assert "sunset 2026-05-30 12:00." in text


def test_without_dates_and_enough_data_there_is_neither(tmp_path: Path) -> None:
    root = read(page(tmp_path, usual()))
    assert not [element for name in ("projection", "sunset", "freeze", "brownout") for element in by_class(root, name)]
    assert "Projection" not in text_of(root)
    assert "Marked" not in text_of(root)


# --- the details


def details_of(root: ET.Element) -> dict[str, ET.Element]:
    """The details of each caller, by its name."""
    return {text_of(panel[0][1]): panel for panel in by_class(root, "panel")}


def test_the_details_describe_the_caller_and_its_calls(tmp_path: Path) -> None:
    rules = [Rule("stray", owner="Docs", contact="docs@example.com", workflows=("never",))]
    rules += [Rule("nightly", owner="Platform", contact="platform@example.com", agents=("curl/*",))]
    found = {name: text_of(panel) for name, panel in details_of(read(page(tmp_path, usual(), rules=rules))).items()}
    assert "owner Platform, platform@example.com" in found["nightly"]
    assert "active: last call 2026-03-31 12:00, usually every 1d; retired on 2026-05-03" in found["nightly"]
    assert "agents curl/8 (51)" in found["nightly"]
    assert "errors 503 overloaded (30)" in found["burst"]
    assert "30 from 2026-03-22 12:00 to 2026-03-22 12:00, 100% errors" in found["burst"]
    assert "repositories acme/app (35)" in found["moved"]
    assert (
        "It sends workflow_slug (1), which the withdrawn endpoint has always ignored, so they never reached a run."
        in (found["stray"])
    )


def test_a_new_request_can_be_copied_byte_for_byte(tmp_path: Path) -> None:
    made = analyzed(tmp_path, usual())
    root = read("".join(to_html(made, made.report.rows, BASE, Policy())))
    wanted = [
        change.request
        for row in made.report.rows
        for change in make_profile(row, made.details[row.name], BASE).changes
        if change.request is not None
    ]
    assert len(wanted) == 5
    assert any('"name":"a/b$"' in request for request in wanted)
    assert ["".join(element.itertext()) for element in root.iter("pre")] == wanted


def test_an_invalid_call_has_a_reason_instead_of_a_request(tmp_path: Path) -> None:
    panel = details_of(read(page(tmp_path, [call("a", DAY, path="/nowhere")])))["a"]
    assert not list(panel.iter("pre"))
    assert "POST /nowhere is not a withdrawn endpoint" in text_of(panel)


def test_a_selection_of_rows_is_noted(tmp_path: Path) -> None:
    made = analyzed(tmp_path, usual())
    root = read("".join(to_html(made, made.report.rows[:1], BASE, Policy())))
    assert "1 of 4 are shown." in text_of(root)
    assert "1 of 4 callers are retired." in text_of(root)
    assert list(details_of(root)) == ["nightly"]


def test_callers_without_details_are_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_table, "MAX_BYTES", 8000)
    root = read(page(tmp_path, usual()))
    assert list(details_of(root)) == ["nightly", "stray"]
    assert "The first 2 of 4 callers have their details here. For any other, run trigger-shim caller NAME" in (
        text_of(root)
    )


def test_a_page_without_calls_says_so(tmp_path: Path) -> None:
    root = read(page(tmp_path, beats(50)))
    assert text_of(by_class(root, "answer")[0]) == "Safe to remove"
    assert "Nobody has called." in text_of(root)
    assert not by_class(root, "bar")


def test_the_chart_has_a_text_alternative(tmp_path: Path) -> None:
    root = read(page(tmp_path, usual()))
    (picture,) = by_class(root, "chart")
    named = [element for element in picture.iter() if element.get("id") in picture.get("aria-labelledby", "").split()]
    assert picture.get("role") == "img"
    assert [text_of(element) for element in named] == [
        "Callers not yet gone, and their calls",
        "1 callers at the beginning and 3 at the end; 118 calls; the busiest time was 2026-03-22 with 31.",
    ]
    (details,) = by_class(root, "numbers")
    numbers = [[text_of(cell) for cell in row] for row in details.iter("tr")]
    assert numbers[0] == ["day", "callers left", "calls", "log coverage"]
    assert len(numbers) == 1 + 71
    assert ["2026-03-12", "1", "1", "0%"] in numbers


def test_a_page_with_ten_thousand_callers_is_small_enough_to_mail(tmp_path: Path) -> None:
    html = many(tmp_path, 10_000)
    assert len(html.encode()) < 5_000_000
    root = read(html)
    assert sum(element.get("scope") == "row" for element in root.iter("th")) > 10_000
    assert len(details_of(root)) > 500


def test_the_page_is_printed_in_ascii(tmp_path: Path) -> None:
    made = analyzed(tmp_path, [call("ночная сборка", DAY)])
    command = [sys.executable, "-m", "proxy", "callers", "--format", "html", str(tmp_path / "callers.jsonl")]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=60, check=False)
    assert (done.returncode, made.read.calls) == (0, 1), done.stderr
    assert list(details_of(read(done.stdout.decode("utf-8")))) == ["ночная сборка"]


def test_the_wheel_contains_templates_style_and_script(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=60)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        files = {"page.html.jinja", "details.html.jinja", "page.css", "page.js"}
        assert {f"proxy/callers/render/{file}" for file in files} <= set(packed.namelist())


# --- what it must not hold


@pytest.mark.parametrize("records", [usual, hostile])
def test_the_page_has_one_script_and_loads_nothing(tmp_path: Path, records: Any) -> None:
    html = page(tmp_path, records())
    root = read(html)
    assert [meta.get("content") for meta in root.iter("meta") if meta.get("http-equiv")] == [POLICY]
    assert ["".join(element.itertext()) for name in ("style", "script") for element in root.iter(name)] == [
        assets.STYLE,
        assets.SCRIPT,
    ]
    allowed = {"html", "head", "meta", "title", "style", "script", "body", "header", "main", "section", "footer", "div"}
    allowed |= {"h1", "h2", "h3", "p", "ul", "li", "dl", "dt", "dd", "pre", "code", "a", "details", "summary", "span"}
    allowed |= {"table", "thead", "tbody", "tr", "th", "td", "label", "input", "select", "option", "button"}
    allowed |= {"svg", "desc", "defs", "pattern", "path", "rect", "circle", "text"}
    for element in root.iter():
        assert element.tag in allowed
        assert not [name for name in element.attrib if name.startswith("on") or name in {"src", "style", "action"}]
        assert not element.get("href")
        assert re.fullmatch(r"[a-z]+(-[a-z]+)?", element.get("id", "none"))


def test_text_from_the_log_is_escaped_and_complete(tmp_path: Path) -> None:
    html = page(tmp_path, hostile())
    text = text_of(read(html))
    for value in HOSTILE[:-2]:
        assert " ".join(value.split()) in text
    assert LONG in text
    assert r"a\u202etxet\u2066\u001b[31m\u0000\u000d\u000a]]>-->" in text
    assert not set(html) & set(f"{BIDI}\x1b\x00\r") - set("txe")
