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
from proxy.callers.render.html_page import SECTIONS, to_html
from proxy.callers.render.profile import make_profile
from tests.callers.render.sample_page import BASE, BIDI, HOSTILE, LONG, hostile, page, read, usual
from tests.callers.sample import DAY, analyzed, beats, call
from tests.support.paths import ROOT


def text_of(element: ET.Element) -> str:
    return " ".join(" ".join(element.itertext()).split())


def by_class(root: ET.Element, name: str) -> list[ET.Element]:
    return [element for element in root.iter() if name in element.get("class", "").split()]


# --- what it says


def test_the_page_has_the_verdict_and_its_reasons(tmp_path: Path) -> None:
    root = read(page(tmp_path, usual()))
    (verdict,) = by_class(root, "verdict")
    assert text_of(by_class(verdict, "answer")[0]) == "Not yet"
    assert text_of(by_class(verdict, "count")[0]) == "1 of 4 callers are retired."
    reasons = [text_of(reason) for reason in by_class(verdict, "reasons")[0]]
    assert reasons[0].startswith("nightly of Platform is active: last call 2026-03-31 12:00")
    assert len(reasons) == 3
    (tally,) = by_class(verdict, "tally")
    assert [text_of(state) for state in tally] == ["active 1", "fading 1", "quiet 1", "retired 1"]


def test_the_page_says_what_was_read_and_what_is_missing(tmp_path: Path) -> None:
    text = text_of(read(page(tmp_path, usual())))
    assert "As of 2026-03-31 12:00, from the log since 2026-01-30 12:00." in text
    assert "No log from 2026-03-11 12:00 to 2026-03-13 12:00: 2d" in text
    assert "The log covers 96.7% of the period." in text
    calls = sum(isinstance(record, CallRecord) for record in usual())
    assert f"Read {calls} calls and {len(usual()) - calls} heartbeats in 1 file; skipped 0 lines." in text


def test_a_long_list_of_reasons_is_cut_with_a_note(tmp_path: Path) -> None:
    records = [*beats(40), *(call(f"c{index}", DAY) for index in range(14))]
    reasons = by_class(read(page(tmp_path, records)), "reasons")[0]
    assert len(reasons) == 11
    assert text_of(reasons[-1]) == "and 4 more"


def test_each_caller_has_a_row_with_a_link_to_its_section(tmp_path: Path) -> None:
    root = read(page(tmp_path, usual()))
    rows = [[text_of(cell) for cell in row] for row in root.iter("tr") if by_class(row, "name")]
    assert rows[0] == "caller,owner,user,calls,trend,last seen,interval,errors,state".split(",")
    assert [row[0] for row in rows[1:]] == ["nightly", "stray", "burst", "moved"]
    assert rows[1][1:4] == ["Platform", "bot", "51"]
    assert rows[1][5:] == ["2026-03-31 12:00", "1d", "0%", "active"]
    names = {f"#{section.get('id')}": text_of(by_class(section, "head")[0][0]) for section in by_class(root, "caller")}
    links = {link.get("href"): text_of(link) for link in root.iter("a")}
    assert links == names
    assert len(links) == 4


def test_a_section_describes_the_caller_and_its_calls(tmp_path: Path) -> None:
    rules = [Rule("stray", owner="Docs", contact="docs@example.com", workflows=("never",))]
    rules += [Rule("nightly", owner="Platform", contact="platform@example.com", agents=("curl/*",))]
    sections = {
        text_of(by_class(section, "head")[0][0]): text_of(section)
        for section in by_class(read(page(tmp_path, usual(), rules=rules)), "caller")
    }
    assert "owner Platform, platform@example.com" in sections["nightly"]
    assert "active: last call 2026-03-31 12:00, usually every 1d; retired on 2026-04-14" in sections["nightly"]
    assert "agents curl/8 (51)" in sections["nightly"]
    assert "errors 503 overloaded (30)" in sections["burst"]
    assert "30 from 2026-03-22 12:00 to 2026-03-22 12:00, 100% errors" in sections["burst"]
    assert "repositories acme/app (16)" in sections["moved"]
    assert (
        "It sends workflow_slug (1), which the withdrawn endpoint has always ignored, so they never reached a run."
        in (sections["stray"])
    )


def test_a_new_request_can_be_copied_byte_for_byte(tmp_path: Path) -> None:
    made = analyzed(tmp_path, usual())
    root = read(to_html(made, made.report.rows, BASE))
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
    (section,) = by_class(read(page(tmp_path, [call("a", DAY, path="/nowhere")])), "caller")
    assert not list(section.iter("pre"))
    assert "POST /nowhere is not a withdrawn endpoint" in text_of(section)


def test_groups_have_no_sections(tmp_path: Path) -> None:
    root = read(page(tmp_path, usual(), by="repo"))
    rows = [[text_of(cell) for cell in row][:3] for row in root.iter("tr") if by_class(row, "name")]
    assert rows == [["repo", "callers", "owner"], ["acme/shop", "3", "Platform"], ["acme/app", "1", "Mobile"]]
    assert not by_class(root, "caller")
    assert not list(root.iter("a"))


def test_only_the_first_callers_have_sections_with_a_note(tmp_path: Path) -> None:
    root = read(page(tmp_path, [call(f"c{index}", DAY) for index in range(SECTIONS + 2)]))
    assert len(by_class(root, "caller")) == len(list(root.iter("a"))) == SECTIONS
    assert len([row for row in root.iter("tr") if by_class(row, "name")]) == 1 + SECTIONS + 2
    assert f"The first {SECTIONS} of {SECTIONS + 2} callers follow." in text_of(root)


def test_a_selection_of_rows_is_noted(tmp_path: Path) -> None:
    made = analyzed(tmp_path, usual())
    root = read(to_html(made, made.report.rows[:1], BASE))
    assert "1 of 4 are shown." in text_of(root)
    assert "1 of 4 callers are retired." in text_of(root)
    assert len(by_class(root, "caller")) == 1


def test_a_page_without_calls_says_so(tmp_path: Path) -> None:
    root = read(page(tmp_path, beats(40)))
    assert text_of(by_class(root, "answer")[0]) == "Safe to remove"
    assert "Nobody has called." in text_of(root)
    assert not by_class(root, "bar")


def test_the_chart_has_a_text_alternative(tmp_path: Path) -> None:
    root = read(page(tmp_path, usual()))
    (picture,) = by_class(root, "chart")
    named = [element for element in picture.iter() if element.get("id") in picture.get("aria-labelledby", "").split()]
    assert picture.get("role") == "img"
    assert [text_of(element) for element in named] == [
        "Callers not yet retired, and their calls",
        "1 callers at the beginning and 3 at the end; 99 calls; the busiest time was 2026-03-22 with 31.",
    ]
    (details,) = root.iter("details")
    numbers = [[text_of(cell) for cell in row] for row in details.iter("tr")]
    assert numbers[0] == ["day", "callers left", "calls", "log coverage"]
    assert len(numbers) == 1 + 61
    assert ["2026-03-12", "1", "1", "0%"] in numbers


def test_a_page_with_many_callers_is_small_enough_to_mail(tmp_path: Path) -> None:
    records = [
        call(
            f"caller-{index}",
            DAY * ago,
            workflow=f"w{ago % 3}",
            path=f"/acme/shop/ci_workflows/w{ago % 3}/trigger",
            user_agent="python-requests/2.31.0",
        )
        for index in range(200)
        for ago in range(30)
    ]
    assert len(page(tmp_path, records).encode()) < 2_000_000


def test_the_page_is_printed_in_ascii(tmp_path: Path) -> None:
    made = analyzed(tmp_path, [call("ночная сборка", DAY)])
    command = [sys.executable, "-m", "proxy", "callers", "--format", "html", str(tmp_path / "callers.jsonl")]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=60, check=False)
    assert (done.returncode, made.read.calls) == (0, 1), done.stderr
    (section,) = by_class(read(done.stdout.decode("utf-8")), "caller")
    assert text_of(by_class(section, "head")[0][0]) == "ночная сборка"


def test_the_wheel_contains_the_template(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=60)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        assert "proxy/callers/render/page.html.jinja" in packed.namelist()


# --- what it must not hold


@pytest.mark.parametrize("records", [usual, hostile])
def test_the_page_has_no_scripts_and_loads_nothing(tmp_path: Path, records: Any) -> None:
    html = page(tmp_path, records())
    root = read(html)
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    assert [meta.get("content") for meta in root.iter("meta") if meta.get("http-equiv")] == [policy]
    allowed = {"html", "head", "meta", "title", "style", "body", "header", "main", "section", "footer", "div", "span"}
    allowed |= {"h1", "h2", "h3", "h4", "p", "ul", "li", "dl", "dt", "dd", "pre", "code", "a", "details", "summary"}
    allowed |= {"table", "thead", "tbody", "tr", "th", "td"}
    allowed |= {"svg", "desc", "defs", "pattern", "path", "rect", "circle", "text"}
    for element in root.iter():
        assert element.tag in allowed
        assert not [name for name in element.attrib if name.startswith("on") or name in {"src", "style"}]
        assert re.fullmatch(r"#caller-\d+", element.get("href", "#caller-1"))
        assert re.fullmatch(r"[a-z]+(-\d+|-[a-z]+)?", element.get("id", "none"))
    (style,) = root.iter("style")
    assert not re.search(r"url\(|@import|@font-face", style.text or "")


def test_text_from_the_log_is_escaped_and_complete(tmp_path: Path) -> None:
    html = page(tmp_path, hostile())
    text = text_of(read(html))
    for value in HOSTILE[:-2]:
        assert " ".join(value.split()) in text
    assert LONG in text
    assert r"a\u202etxet\u2066\u001b[31m\u0000\u000d\u000a]]>-->" in text
    assert not set(html) & set(f"{BIDI}\x1b\x00\r") - set("txe")
