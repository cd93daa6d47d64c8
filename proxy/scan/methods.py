"""Finds the HTTP method of a call in a text."""

import re
from bisect import bisect_left, bisect_right
from functools import cached_property

EITHER = "GET or POST"
"""What a call is that does not show its method."""

_METHOD = re.compile(
    r"(?<![A-Za-z])(?:-X\s?[\"']?)?(GET|POST|PATCH|DELETE|PUT|HEAD)(?![A-Za-z])"
    r"|[.@>:](?i:(get|post|patch|delete|put))(?:Async|JSON|String|Object|Mapping|_json)?!?\s?[(<]"
    r"|(?:HttpMethod\.|http\.Method|Method\.|HTTP::|\bHttp)(Get|Post|Patch|Delete|Put)\b"
    r"|(?i:\bmethod[\"']?\s{0,8}(?:=>|[:= ])\s{0,8}[\"':]?(get|post|patch|delete|put)\b)"
)
_DATA = re.compile(r"\s(?:-d|--data(?:-\w+)?|--json|--post-data)(?![\w-])")
_QUERY = re.compile(r"\s(?:-G|--get)(?![\w-])")
_NEXT_COMMAND = re.compile(r"[;&|]\s")
_CONTINUED = re.compile(r"[\\^`][ \t]*\r?\Z")
_COMMAND = re.compile(r"\b(?:curl|wget)\b")
_FETCH = re.compile(r"\bfetch\s?\(\s?[\"'`]\Z")
_ASSIGNED = re.compile(
    r"\s{0,40}+(?:[A-Za-z]{2,10}\s){0,4}[$@]?[A-Za-z_]\w{0,60}+"
    r"(?:\s?:\s?[\w<>\[\].]{1,30}+)?\s{0,8}(?::=|[?+:]?=)(?![=>])"
)
_AROUND = 300
_BRACKET = re.compile(r"[\[\](){}]")
_OPEN = "([{"


class Methods:
    """The methods in a region of a text, which is searched once, however many calls there are."""

    def __init__(self, text: str, start: int, end: int) -> None:
        self._text = text
        self._bounds = start, end
        self._start = self._end = 0

    @cached_property
    def _found(self) -> list[tuple[int, str]]:
        return [
            (match.start(), str(match[match.lastindex or 0]).upper())
            for match in _METHOD.finditer(self._text, *self._bounds)
        ]

    @cached_property
    def _queries(self) -> list[tuple[int, str]]:
        return [(match.start(), "GET") for match in _QUERY.finditer(self._text, *self._bounds)]

    @cached_property
    def _data(self) -> list[tuple[int, str]]:
        """Where data is sent, which makes a POST of a call without a method, unless it becomes the query."""
        return [(match.start(), "POST") for match in _DATA.finditer(self._text, *self._bounds)]

    def on_line(self, start: int, end: int) -> str | None:
        """The nearest method on the line of a call and on the lines that continue it."""
        if not self._start <= start < self._end:
            self._start, self._end = self._line(start)
        by_weight = (self._found, self._queries, self._data)
        return next(filter(None, (self._nearest(found, start, end) for found in by_weight)), None)

    def near(self, start: int, end: int) -> str:
        """The method of a call that can be GET or POST, as far as the text around it shows."""
        method = self._of_line(start, end) or self._of_text(start, end)
        return method if method in {"GET", "POST"} else EITHER

    def _of_line(self, start: int, end: int) -> str | None:
        method = self.on_line(start, end)
        is_command = _COMMAND.search(self._text, max(self._start, start - _AROUND), start)
        return method or ("GET" if is_command else None)

    def _of_text(self, start: int, end: int) -> str | None:
        opened = self._opened(start)
        is_argument = opened is not None and self._text[opened] == "("
        is_assigned = self._is_assigned(start, opened if is_argument else None)
        inside = self._only(*self._brackets(opened, end)) if opened is not None else None
        if is_assigned:  # the method is where the variable is used, which may be anywhere
            return (inside if is_argument else None) or self._of_fetch(start, end)
        return inside or self._of_block(start, end) or self._of_fetch(start, end)

    def _is_assigned(self, start: int, opened: int | None) -> bool:
        """Whether a variable gets the path, and not an argument with a name."""
        assigned = _ASSIGNED.match(self._text, max(self._start, start - _AROUND), start)
        return assigned is not None and (opened is None or opened >= assigned.end())

    def _of_fetch(self, start: int, end: int) -> str | None:
        """GET, if the path is the only argument of ``fetch``."""
        is_fetch = _FETCH.search(self._text, max(self._bounds[0], start - _AROUND), self._quote(start))
        is_whole = self._text[end : end + 8].lstrip("\"'`").startswith(")")
        return "GET" if is_fetch and is_whole else None

    def _quote(self, start: int) -> int:
        """Behind the quote that begins the text of a call."""
        quote = max(self._text.rfind(mark, max(start - _AROUND, 0), start) for mark in "\"'`")
        return quote + 1

    def _of_block(self, start: int, end: int) -> str | None:
        """The only method between the empty lines around the call."""
        first = self._text.rfind("\n\n", max(start - _AROUND, 0), start)
        last = self._text.find("\n\n", end, end + _AROUND)
        return self._only(max(first, start - _AROUND), last if last >= 0 else end + _AROUND)

    def _only(self, first: int, last: int) -> str | None:
        begin, behind = bisect_left(self._found, (first, "")), bisect_left(self._found, (last, ""))
        methods = {method for _, method in self._found[begin:behind]}
        if not methods and bisect_left(self._data, (first, "")) < bisect_left(self._data, (last, "")):
            return "POST"
        return methods.pop() if len(methods) == 1 else None

    def _opened(self, start: int) -> int | None:
        """The bracket that is open before a call."""
        depth = 0
        for bracket in reversed([*_BRACKET.finditer(self._text, max(start - _AROUND, self._bounds[0]), start)]):
            depth += 1 if bracket[0] in _OPEN else -1
            if depth == 1:
                return bracket.start()
        return None

    def _brackets(self, opened: int, end: int) -> tuple[int, int]:
        """From the line of an open bracket to where it is closed."""
        lowest, highest, depth = max(opened - _AROUND, self._bounds[0]), min(end + _AROUND, self._bounds[1]), 1
        for bracket in _BRACKET.finditer(self._text, end, highest):
            depth += 1 if bracket[0] in _OPEN else -1
            if depth == 0:
                highest = bracket.end()
                break
        return max(self._text.rfind("\n", lowest, opened), lowest), highest

    def _line(self, start: int) -> tuple[int, int]:
        text, (lowest, highest) = self._text, self._bounds
        first = max(text.rfind("\n", lowest, start) + 1, lowest)
        while first > lowest and _CONTINUED.search(text[max(first - 80, 0) : first - 1]):
            first = max(text.rfind("\n", lowest, first - 1) + 1, lowest)
        last = self._line_end(start)
        while last < highest and _CONTINUED.search(text[max(last - 80, 0) : last]):
            last = self._line_end(last + 1)
        return first, last + 1

    def _line_end(self, start: int) -> int:
        end = self._text.find("\n", start, self._bounds[1])
        return end if end >= 0 else self._bounds[1]

    def _nearest(self, found: list[tuple[int, str]], start: int, end: int) -> str | None:
        index = bisect_right(found, (start, ""))
        options = [
            (start - place if place < start else place - end, method)
            for place, method in found[max(index - 1, 0) : index + 1]
            if self._start <= place < self._end
            and not _NEXT_COMMAND.search(self._text, min(place, end), max(place, start))
        ]
        return min(options)[1] if options else None
