"""Writes findings as a table, JSON, Markdown or SARIF, with control characters escaped."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable
from typing import Any, TextIO
from urllib.parse import quote

from proxy import __version__
from proxy.output import terminal
from proxy.output.formatting import json_text, pluralize, printable, table_code
from proxy.scan.patterns import Finding
from proxy.scan.walk import Located, Scan
from proxy.withdrawn.endpoints import ENDPOINTS

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def examined(scan: Scan) -> str:
    """Say in one line what was examined and what was left out."""
    left_out = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in scan.left_out.items())
    return f"examined {pluralize(scan.files, 'file')} in {pluralize(scan.folders, 'folder')}; left out: {left_out}"


# --- for people


def table(scan: Scan, stream: TextIO) -> None:
    """Write a table that fits the terminal; elsewhere, one line per finding, never cut."""
    if stream.isatty():
        _boxed(scan.found, stream)
        return
    stream.writelines(
        f"{_place(file, finding)}: {finding.endpoint}: {printable(finding.found)} -> {printable(finding.replacement)}\n"
        for file, finding in scan.found
    )


def _boxed(found: Iterable[Located], stream: TextIO) -> None:
    # Two columns leave room for a path on a narrow terminal.
    rows = [
        (
            [(f"{_place(file, finding)}\n", "cyan"), (finding.endpoint, "")],
            [(f"{printable(finding.found)}\n", "red"), (printable(finding.replacement), "green")],
        )
        for file, finding in found
    ]
    if rows:
        terminal.show_ruled_table(stream, ("where", "found, and replacement"), rows)


def markdown(scan: Scan, stream: TextIO) -> None:
    """Write the findings as a Markdown table."""
    stream.write("| where | endpoint | found | replacement |\n| --- | --- | --- | --- |\n")
    for file, finding in scan.found:
        cells = (_place(file, finding), finding.endpoint, finding.found, finding.replacement)
        stream.write("| " + " | ".join(map(table_code, cells)) + " |\n")


def _place(file: str, finding: Finding) -> str:
    return f"{printable(_name(file))}:{finding.line}:{finding.column}"


# --- for programs


def as_json(scan: Scan, stream: TextIO) -> None:
    """Write an object with ``examined`` (counts by name) and ``findings`` (file, and the fields of `Finding`)."""
    counts = {"files": scan.files, "folders": scan.folders, **scan.left_out}
    findings = [{"file": _name(file), **finding._asdict()} for file, finding in scan.found]
    stream.write(json_text({"examined": counts, "findings": findings}) + "\n")


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
        "rules": [_rule(endpoint.name, documentation) for endpoint in ENDPOINTS],
    }
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": _results(scan.found)}
    stream.write(json_text({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}) + "\n")


def _rule(name: str, documentation: str) -> dict[str, Any]:
    endpoint = next(endpoint for endpoint in ENDPOINTS if endpoint.name == name)
    call, successor = (f"{endpoint.method} {path}" for path in (endpoint.path, endpoint.successor))
    return {
        "id": name,
        "shortDescription": {"text": f"{call} is withdrawn"},
        "fullDescription": {"text": f"{call} is withdrawn; call {successor} instead."},
        "help": {"text": f"Call {successor} instead. See {documentation}"},
        "helpUri": documentation,
        "defaultConfiguration": {"level": "error"},
    }


def _results(found: Iterable[Located]) -> list[dict[str, Any]]:
    rules = [endpoint.name for endpoint in ENDPOINTS]
    occurrences: Counter[str] = Counter()
    results = []
    for file, finding in found:
        key = hashlib.sha256(f"{file}\0{finding.endpoint}\0{finding.found}".encode(errors="surrogateescape"))
        occurrences[key.hexdigest()] += 1
        result = {
            "ruleId": finding.endpoint,
            "ruleIndex": rules.index(finding.endpoint),
            "level": "error",
            "message": {"text": f"{finding.found} is withdrawn. Use {finding.replacement} instead."},
            "locations": [{"physicalLocation": _location(file, finding.line, finding.column)}],
            # Without a fingerprint, an alert counts as new whenever its line moves.
            "partialFingerprints": {
                "primaryLocationLineHash": f"{key.hexdigest()[:16]}:{occurrences[key.hexdigest()]}"
            },
        }
        results.append(result)
    return results


def _location(file: str, line: int, column: int) -> dict[str, Any]:
    uri = quote(os.fsencode(os.path.relpath(file)))
    return {"artifactLocation": {"uri": uri}, "region": {"startLine": line, "startColumn": column}}


def _name(file: str) -> str:
    """The name of a file, with bytes that are not UTF-8 escaped."""
    return os.fsencode(file).decode("utf-8", "backslashreplace")
