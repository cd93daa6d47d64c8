"""How findings are shown, and that nothing in a file gets at what shows them."""

import io
import json
import os
import re
from collections.abc import Callable
from typing import Any

import pytest
from markdown_it import MarkdownIt

from proxy.output.formatting import printable
from proxy.scan import render
from proxy.scan.finding import Confidence
from proxy.scan.sarif import sarif
from proxy.scan.scan import Scan
from tests.scan.scans import HOSTILE, NAMES, PAGE, scan_of

UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(write: Callable[..., None], scan: Scan, *more: Any) -> str:
    stream = io.StringIO()
    write(scan, stream, *more)
    return stream.getvalue()


FORMS: list[Callable[[Scan], str]] = [
    lambda scan: shown(render.table, scan),
    lambda scan: shown(render.markdown, scan),
    lambda scan: shown(render.as_json, scan),
    lambda scan: shown(sarif, scan, PAGE),
    render.examined,
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NAMES)
def test_nothing_that_a_terminal_acts_on_gets_out(form: Callable[[Scan], str], name: str) -> None:
    text = form(scan_of(name, found=HOSTILE))

    assert not UNSAFE.search(text)
    text.encode()


def test_the_summary_says_what_was_examined_and_what_was_not() -> None:
    assert render.examined(scan_of("a", "b")) == (
        "found 2 calls, 0 to look at; examined 2 files in 1 folder;"
        " left out: 0 ignored, 0 excluded, 2 binary, 0 too large, 0 unreadable, 0 links"
    )


# --- the table


def test_in_a_pipe_a_finding_is_a_line_that_is_never_cut() -> None:
    long = "/" + "o" * 500 + "/shop/ci_workflows/x/trigger"

    assert shown(render.table, scan_of("ci.yml", "x\ny", found=long)).split("\n") == [
        f"ci.yml:3:7: trigger (certain): {long} -> POST /repos/{long}",
        f"x\\u000ay:3:7: trigger (certain): {long} -> POST /repos/{long}",
        "",
    ]


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_on_a_terminal_the_table_fits_and_loses_nothing(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()

    render.table(scan_of("ci.yml", found="/😀acme/[bold]shop/ci_workflows/x/trigger"), stream)

    lines = stream.getvalue().splitlines()
    assert all(len(line) + line.count("😀") <= columns for line in lines)
    assert "\x1b" not in stream.getvalue()
    cells = [[cell.replace(" ", "") for cell in line.split("│")[1:-1]] for line in lines if "│" in line]
    called = "/😀acme/[bold]shop/ci_workflows/x/trigger"
    assert ["".join(parts) for parts in zip(*cells, strict=True)] == [
        "ci.yml:3:7trigger(certain)", f"{called}POST/repos/{called}",
    ]  # fmt: skip


@pytest.mark.parametrize(("no_color", "colored"), [(None, True), ("1", False)])
def test_a_terminal_gets_color_unless_it_is_unwanted(
    no_color: str | None, colored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", no_color)
    stream = Terminal()

    render.table(scan_of("ci.yml"), stream)

    assert bool(re.search("\x1b\\[[0-9;]*3[0-9]", stream.getvalue())) is colored


def test_a_terminal_gets_nothing_where_nothing_was_found() -> None:
    stream = Terminal()
    render.table(scan_of(), stream)
    assert stream.getvalue() == ""


# --- Markdown


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("found", [HOSTILE, "`", "``|``", "a|b", "$a$ <script>"])
def test_a_markdown_reader_shows_what_was_found(name: str, found: str) -> None:
    tokens = MarkdownIt("commonmark").enable("table").parse(shown(render.markdown, scan_of(name, found=found)))

    cells = [token.children for token in tokens if token.type == "inline"][4:]
    assert [[child.type for child in cell or []] for cell in cells] == [["code_inline"]] * 4
    assert [cell[0].content for cell in cells if cell] == [
        f"{printable(render.name(name))}:3:7",
        "trigger (certain)",
        printable(found),
        f"POST /repos/{printable(found)}",
    ]


# --- JSON and SARIF


def test_json_has_the_counts_and_the_findings() -> None:
    document = json.loads(shown(render.as_json, scan_of("ż.yml", os.fsdecode(b"\xff"), found="a\x1b")))

    assert document["examined"] == {
        "files": 2, "folders": 1, "ignored": 0, "excluded": 0, "binary": 2, "too_large": 0, "unreadable": 0, "links": 0,
    }  # fmt: skip
    assert [finding.pop("file") for finding in document["findings"]] == ["ż.yml", "\\xff"]
    assert document["found"] == {"calls": 2, "looks": 0, "suppressed": 0, "baseline": 0}
    assert document["findings"] == 2 * [
        {
            "line": 3,
            "column": 7,
            "end_line": 3,
            "end_column": 9,
            "endpoint": "trigger",
            "confidence": "certain",
            "method": "POST",
            "found": "a\x1b",
            "replacement": "POST /repos/a\x1b",
            "edit": None,
            "callers": [],
        }
    ]


def test_the_confidence_is_in_every_format() -> None:
    for confidence, label in (
        (Confidence.CERTAIN, "trigger (certain)"),
        (Confidence.LIKELY, "trigger (likely)"),
        (Confidence.LOOK, "look at this"),
        (Confidence.NOTE, "base URL"),
    ):
        scan = scan_of("a", confidence=confidence)

        assert f"a:3:7: {label}: " in shown(render.table, scan)
        assert f"| `{label}` |" in shown(render.markdown, scan)
        assert json.loads(shown(render.as_json, scan))["findings"][0]["confidence"] == confidence
        assert json.loads(shown(sarif, scan, PAGE))["runs"][0]["results"][0]["properties"]["confidence"] == confidence


def test_likely_callers_are_named_in_every_format() -> None:
    scan = scan_of("a")
    scan.found = [located._replace(callers=("nightly", "b|c")) for located in scan.found]

    assert shown(render.table, scan).endswith(" [called by nightly, b|c]\n")
    assert shown(render.markdown, scan).splitlines()[2].endswith("| `nightly, b\\|c` |")
    assert json.loads(shown(render.as_json, scan))["findings"][0]["callers"] == ["nightly", "b|c"]
    assert "It is likely to be called by nightly, b|c." in shown(sarif, scan, PAGE)
