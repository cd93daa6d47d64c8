"""Comments that suppress findings: ``trigger-shim: ignore`` and the reason."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from proxy.scan.finding import Finding

MARK = "trigger-shim: ignore"

_COMMENT = re.compile(r"\btrigger-shim:[ \t]{0,8}ignore\b(?P<reason>[^\n]{0,200}+)")
_ALONE = re.compile(r"\W*(?:(?i:rem)\b)?\W*")
_CONTINUED = re.compile(r"[\\^`][ \t]{0,80}\r?\Z")
_REASON = re.compile(r"\w{2}")
_INDENT = 80
"""How many characters may come before a comment that is alone in its line."""


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
    comments = _Comments(text)
    kept = [finding for finding in findings if not comments.suppress(finding)]
    return Sifted(kept, len(findings) - len(kept), tuple(comments.unexplained))


class _Comments:
    """The comments of a text.

    Attributes:
        unexplained: lines with a comment that has no reason.
    """

    def __init__(self, text: str) -> None:
        self._inside: set[int] = set()
        self._alone: set[int] = set()
        self._first_lines: list[int] = []
        self.unexplained: list[int] = []
        first = 1
        for number, line in enumerate(text.split("\n"), 1):
            self._first_lines.append(first)
            if not _CONTINUED.search(line[-90:]):
                first = number + 1
            if comment := _COMMENT.search(line):
                self._add(number, comment, line)

    def _add(self, number: int, comment: re.Match[str], line: str) -> None:
        if not _REASON.search(comment["reason"]):
            self.unexplained.append(number)
            return
        self._inside.add(number)
        if comment.start() <= _INDENT and _ALONE.fullmatch(line, 0, comment.start()):
            self._alone.add(number)

    def suppress(self, finding: Finding) -> bool:
        """Whether one of them suppresses a finding."""
        is_inside = any(number in self._inside for number in range(finding.line, finding.end_line + 1))
        # A command that goes over several lines has no place for a comment inside.
        return is_inside or self._first_lines[finding.line - 1] - 1 in self._alone
