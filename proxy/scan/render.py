"""Writes findings as a table, JSON or Markdown, with control characters escaped."""

import os
from collections.abc import Iterable
from typing import Any, TextIO

from proxy.output import terminal
from proxy.output.formatting import join_names, json_text, pluralize, printable, table_code
from proxy.scan.finding import Confidence, Finding, Located
from proxy.scan.scan import Scan


def examined(scan: Scan) -> str:
    """Say in one line what was found, what was examined and what was left out."""
    counts = [pluralize(scan.calls, "call"), f"{scan.looks} to look at"]
    counts += [
        f"{count} {what}"
        for count, what in ((scan.suppressed, "suppressed"), (scan.known, "in the baseline"), (scan.changed, "changed"))
        if count
    ]
    left_out = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in scan.left_out.items())
    found = "left" if scan.changed else "found"
    return (
        f"{found} {', '.join(counts)}; examined {pluralize(scan.files, 'file')} in {pluralize(scan.folders, 'folder')};"
        f" left out: {left_out}"
    )


def what(finding: Finding) -> str:
    """The endpoint and how sure it is."""
    match finding.hit.confidence:
        case Confidence.NOTE:
            return "base URL"
        case Confidence.LOOK:
            return "look at this"
        case confidence:
            return f"{finding.hit.endpoint} ({confidence})"


# --- for people


def table(scan: Scan, stream: TextIO) -> None:
    """Write a table that fits the terminal; elsewhere, one line per finding, never cut."""
    if stream.isatty():
        _boxed(scan.found, stream)
        return
    stream.writelines(
        f"{_place(located)}: {what(located.finding)}: {printable(located.finding.found)}"
        f" -> {printable(located.finding.hit.replacement)}{_called_by(located)}\n"
        for located in scan.found
    )


def _boxed(found: Iterable[Located], stream: TextIO) -> None:
    # Two columns leave room for a path on a narrow terminal.
    rows = [
        (
            [(f"{_place(located)}\n", "cyan"), (what(located.finding), "")],
            [
                (f"{printable(located.finding.found)}\n", "red"),
                (printable(located.finding.hit.replacement), "green"),
                (_called_by(located), ""),
            ],
        )
        for located in found
    ]
    if rows:
        terminal.show_ruled_table(stream, ("where", "found, and replacement"), rows)


def _called_by(located: Located) -> str:
    return f" [called by {join_names(located.callers, 3)}]" if located.callers else ""


def markdown(scan: Scan, stream: TextIO) -> None:
    """Write the findings as a Markdown table."""
    titles = ["where", "what", "found", "replacement"]
    has_callers = any(located.callers for located in scan.found)
    titles += ["called by"] if has_callers else []
    stream.write(f"| {' | '.join(titles)} |\n|{' --- |' * len(titles)}\n")
    for located in scan.found:
        finding = located.finding
        cells = [_place(located), what(finding), finding.found, finding.hit.replacement]
        cells += [", ".join(located.callers)] if has_callers else []
        stream.write("| " + " | ".join(map(table_code, cells)) + " |\n")


def _place(located: Located) -> str:
    return f"{printable(name(located.file))}:{located.finding.line}:{located.finding.column}"


# --- for programs


def as_json(scan: Scan, stream: TextIO) -> None:
    """Write an object with ``found`` and ``examined`` (counts by name), and ``findings``."""
    found = {"calls": scan.calls, "looks": scan.looks, "suppressed": scan.suppressed, "baseline": scan.known}
    counts = {"files": scan.files, "folders": scan.folders} | {str(key): value for key, value in scan.left_out.items()}
    findings = [_finding(located) for located in scan.found]
    stream.write(json_text({"found": found, "examined": counts, "findings": findings}) + "\n")


def _finding(located: Located) -> dict[str, Any]:
    finding, hit = located.finding, located.finding.hit
    return {
        "file": name(located.file),
        "line": finding.line,
        "column": finding.column,
        "end_line": finding.end_line,
        "end_column": finding.end_column,
        "endpoint": hit.endpoint,
        "confidence": hit.confidence,
        "method": hit.method,
        "found": finding.found,
        "replacement": hit.replacement,
        "edit": hit.edit,
        "callers": located.callers,
    }


def name(file: str) -> str:
    """The name of a file, with bytes that are not UTF-8 escaped."""
    return os.fsencode(file).decode("utf-8", "backslashreplace")
