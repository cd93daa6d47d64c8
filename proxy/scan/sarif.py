"""Writes findings as SARIF, for code scanning services."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote

from proxy import __version__
from proxy.output.formatting import json_text
from proxy.scan.baseline import fingerprints
from proxy.scan.finding import ANSWER, BASE_URL, PATH, Confidence, Finding, Located
from proxy.scan.scan import Scan
from proxy.withdrawn.endpoints import ENDPOINTS, Endpoint

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

_LEVELS = {
    Confidence.CERTAIN: "error",
    Confidence.LIKELY: "error",
    Confidence.LOOK: "warning",
    Confidence.NOTE: "note",
}
_RANKS = {Confidence.CERTAIN: 100.0, Confidence.LIKELY: 75.0, Confidence.LOOK: 25.0, Confidence.NOTE: 0.0}
"""SARIF's word for how much a result matters, from 0 to 100."""

_OTHERS = {
    PATH: ("A part of a path may be withdrawn", "Look whether this becomes the path of a withdrawn call."),
    ANSWER: ("A field of the old answer is read", "The answer of the successor has other fields."),
    BASE_URL: ("The address of the service", "With the proxy's address here, the old calls work unchanged."),
}
_RULES = [*(endpoint.name for endpoint in ENDPOINTS), *_OTHERS]


def sarif(scan: Scan, stream: TextIO, documentation: str) -> None:
    """Write SARIF 2.1.0, with what code scanning services require beyond its schema.

    Args:
        scan: what was found.
        stream: where to write.
        documentation: URL of the page that explains the withdrawal.
    """
    driver = {
        "name": "trigger-shim",
        "version": __version__,
        "informationUri": documentation,
        "rules": [
            *(_endpoint_rule(endpoint, documentation) for endpoint in ENDPOINTS),
            *(_rule(name, title, text, documentation) for name, (title, text) in _OTHERS.items()),
        ],
    }
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": _results(scan.found)}
    stream.write(json_text({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}) + "\n")


def _endpoint_rule(endpoint: Endpoint, documentation: str) -> dict[str, Any]:
    call, successor = (f"{endpoint.method} {path}" for path in (endpoint.path, endpoint.successor))
    return _rule(endpoint.name, f"{call} is withdrawn", f"Call {successor} instead.", documentation)


def _rule(name: str, title: str, text: str, documentation: str) -> dict[str, Any]:
    level = {PATH: "warning", ANSWER: "warning", BASE_URL: "note"}.get(name, "error")
    return {
        "id": name,
        "shortDescription": {"text": title},
        "fullDescription": {"text": f"{title}. {text}"},
        "help": {"text": f"{text} See {documentation}"},
        "helpUri": documentation,
        "defaultConfiguration": {"level": level},
    }


def _results(found: Sequence[Located]) -> list[dict[str, Any]]:
    # Without a fingerprint, an alert counts as new whenever its line moves.
    marks = fingerprints(found, Path())
    return [_result(located, mark) for located, mark in zip(found, marks, strict=True)]


def _result(located: Located, mark: str) -> dict[str, Any]:
    finding, hit = located.finding, located.finding.hit
    artifact = {"uri": quote(os.fsencode(os.path.relpath(located.file)))}
    place = {"artifactLocation": artifact, "region": _region(finding)}
    result = {
        "ruleId": hit.endpoint,
        "ruleIndex": _RULES.index(hit.endpoint),
        "level": _LEVELS[hit.confidence],
        "rank": _RANKS[hit.confidence],
        "message": {"text": _message(located)},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"primaryLocationLineHash": mark},
        "properties": {"confidence": hit.confidence, "callers": located.callers},
    }
    if hit.edit is not None and hit.confidence is Confidence.CERTAIN:
        replacement = {"deletedRegion": _region(finding), "insertedContent": {"text": hit.edit}}
        change = {"artifactLocation": artifact, "replacements": [replacement]}
        result["fixes"] = [{"description": {"text": "Put /repos in front of the path."}, "artifactChanges": [change]}]
    return result


def _message(located: Located) -> str:
    finding, hit = located.finding, located.finding.hit
    callers = f" It is likely to be called by {', '.join(located.callers)}." if located.callers else ""
    if hit.confidence.is_call:
        return f"{finding.found} is withdrawn. Use {hit.replacement} instead.{callers}"
    return f"{finding.found}: use {hit.replacement}.{callers}"


def _region(finding: Finding) -> dict[str, int]:
    return {
        "startLine": finding.line,
        "startColumn": finding.column,
        "endLine": finding.end_line,
        "endColumn": finding.end_column,
    }
