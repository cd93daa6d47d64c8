"""Finds the HTTP method near a call in a text."""

import re
from bisect import bisect_right
from functools import cached_property

_METHOD = re.compile(
    r"(?<![A-Za-z])(?:-X\s?[\"']?)?(GET|POST|PATCH|DELETE|PUT|HEAD)(?![A-Za-z])"
    r"|[.@>:](?i:(get|post|patch|delete|put))(?:Async|JSON)?\s?[(<]"
    r"|(?:HttpMethod\.|http\.Method|HTTP::|\bHttp)(Get|Post|Patch|Delete|Put)\b"
    r"|(?i:\bmethod[\"']?\s{0,8}[:= ]\s{0,8}[\"']?(get|post|patch|delete|put)\b)"
    r"|\s(-d|--data(?:-\w+)?|--json)(?![\w-])"
)
_CONTINUED = re.compile(r"[\\^`][ \t]*\r?\Z")
_CURL = re.compile(r"\bcurl\b")
_AROUND = 300


class Methods:
    """The methods in a text, which is searched once, however many calls there are."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._start = self._end = 0

    @cached_property
    def _found(self) -> list[tuple[int, str]]:
        return [
            (match.start(), "POST" if match[5] else str(match[match.lastindex or 0]).upper())
            for match in _METHOD.finditer(self._text)
        ]

    def on_line(self, start: int, end: int) -> str | None:
        """The nearest method on the line of a call and on the lines that continue it."""
        if not self._start <= start < self._end:
            self._start, self._end = self._line(start)
        return self._nearest(start, end, self._start, self._end)

    def near(self, start: int, end: int) -> str | None:
        """The same, or else the nearest method between the empty lines around the call."""
        if method := self.on_line(start, end):
            return method
        if _CURL.search(self._text, max(self._start, start - _AROUND), start):
            return "GET"
        first = self._text.rfind("\n\n", max(start - _AROUND, 0), start)
        last = self._text.find("\n\n", end, end + _AROUND)
        return self._nearest(start, end, max(first, start - _AROUND), last if last >= 0 else end + _AROUND)

    def _line(self, start: int) -> tuple[int, int]:
        text = self._text
        first = text.rfind("\n", 0, start) + 1
        while first and _CONTINUED.search(text[max(first - 80, 0) : first - 1]):
            first = text.rfind("\n", 0, first - 1) + 1
        last = self._line_end(start)
        while last < len(text) and _CONTINUED.search(text[max(last - 80, 0) : last]):
            last = self._line_end(last + 1)
        return first, last + 1

    def _line_end(self, start: int) -> int:
        end = self._text.find("\n", start)
        return end if end >= 0 else len(self._text)

    def _nearest(self, start: int, end: int, first: int, last: int) -> str | None:
        index = bisect_right(self._found, (start, ""))
        around = self._found[max(index - 1, 0) : index + 1]
        options = [
            (start - place if place < start else place - end, method)
            for place, method in around
            if first <= place < last
        ]
        return min(options)[1] if options else None
