"""Comments that suppress findings: ``trigger-shim: ignore`` and the reason."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from proxy.scan.finding import Finding

MARK = "trigger-shim: ignore"

_COMMENT = re.compile(r"(?P<before>[^\n]{0,80}?)\btrigger-shim:[ \t]{0,8}ignore\b(?P<reason>[^\n]{0,200})")
_ALONE = re.compile(r"\W*(?:(?i:rem)\b)?\W*")
_CONTINUED = re.compile(r"[\\^`][ \t]*\r?\Z")
_REASON = re.compile(r"\w{2}")


class Sifted(NamedTuple):
    """Findings without those that comments suppress.

    Attributes:
        suppressed: how many were suppressed.
        unexplained: lines with a comment that has no reason, and so suppresses nothing.
    """

    findings: list[Finding]
    suppressed: int = 0
    unexplained: tuple[int, ...] = ()


def sift(text: str, findings: Sequence[Finding]) -> Sifted:
    """Leave out what a comment suppresses: one in its lines, or alone in the line above it or above its command."""
    if not findings or "trigger-shim:" not in text:
        return Sifted(list(findings))
    lines = text.split("\n")
    comments = {number: found for number, line in enumerate(lines, 1) if (found := _COMMENT.search(line))}
    kept = [finding for finding in findings if not _is_suppressed(finding, lines, comments)]
    unexplained = tuple(number for number, found in comments.items() if not _REASON.search(found["reason"]))
    return Sifted(kept, len(findings) - len(kept), unexplained)


def _is_suppressed(finding: Finding, lines: Sequence[str], comments: dict[int, re.Match[str]]) -> bool:
    inside = range(finding.line, finding.end_line + 1)
    first = _first_line(finding.line, lines)
    above = comments.get(first - 1)
    near = [comments[number] for number in inside if number in comments]
    if above is not None and _ALONE.fullmatch(above["before"]):
        near.append(above)
    return _has_reason(near)


def _has_reason(comments: Iterable[re.Match[str]]) -> bool:
    return any(_REASON.search(comment["reason"]) for comment in comments)


def _first_line(number: int, lines: Sequence[str]) -> int:
    """The first line of a command that goes over several lines."""
    while number > 1 and _CONTINUED.search(lines[number - 2][-80:]):
        number -= 1
    return number
