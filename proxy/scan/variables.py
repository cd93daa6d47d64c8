"""Looks up what a variable holds, where the text itself says so."""

import re
from bisect import bisect
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from itertools import islice

from proxy.scan.expressions import Expression, Part, Segment

_MOST = 20_000
"""How many assignments of a text are kept."""
_MOST_CARRIERS, _MOST_ENDS = 40, 2000
"""How many variables may carry a path, and how many places are examined for them."""
_DEEPEST = 3
"""How many variables may refer to one another."""
_LONGEST = 300
"""The longest value, in characters."""

_ASSIGNMENT = re.compile(
    r"(?<![\w./-])(?P<name>[A-Za-z_]\w{0,60}+)[\"']?\]?"
    r"(?:(?:\s?:\s?[A-Za-z][\w.\[\]<>|]{0,30}+)?[ \t]{0,20}+(?:=>|[:?+]{0,2}=|:(?=[ \t\"'`]))|(?<=\w)[\"'],)"
    r"[ \t]{0,20}+"
    r"(?=[^\s=])(?P<quote>[rfbu$@]?[\"'`])?"
)
_ENV = re.compile(
    r"^[ \t]{0,20}+(?:ENV|ARG|setenv|set|export)[ \t]{1,8}+(?P<name>\w{1,60}+)[ \t]{1,8}+(?=\S)[\"']?", re.MULTILINE
)
_URL = re.compile(r"[a-z]{2,8}+://(?P<host>[\w.:@%-]{1,200}+)")
_HOST = re.compile(r"[\w-]+(?:\.[\w-]+)+(?::\d+)?")
_WORD = re.compile(r"[\w.:-]{1,200}+")
_NAME = re.compile(r"(\w{1,80}+)(?:\s?\|[^{}]{0,60}+|:?[-=?][^{}]{0,120}+)?[\s)}%\]\"']{0,4}+\Z")

Parse = Callable[[int, int], Expression | None]
"""Reads the path at an offset, up to another offset."""


class Variables:
    """The variables that a text assigns.

    Attributes:
        followed: names of those that `filled` has put in place.

    Args:
        text: the text.
        parse: reads a path in it.
        keys: words that identify a withdrawn path.
    """

    def __init__(self, text: str, parse: Parse, keys: Iterable[str]) -> None:
        self._text = text
        self._parse = parse
        self._keys = frozenset(keys)
        self._parsed: dict[int, Expression | None] = {}
        self.followed: set[str] = set()

    @cached_property
    def _values(self) -> dict[str, list[int]]:
        """Where the values of each variable begin."""
        values: defaultdict[str, list[int]] = defaultdict(list)
        for pattern in (_ASSIGNMENT, _ENV):
            for match in islice(pattern.finditer(self._text), _MOST):
                values[match["name"]].append(match.end())
        return {name: sorted(places) for name, places in values.items()}

    def carriers(self) -> list[str]:
        """The names of variables that hold the first part of a withdrawn path."""
        keys = "|".join(sorted(self._keys))
        ends = re.compile(rf"(?:{keys})(?:/(?!trigger)[^\s/\"'`]{{1,80}}+)?/?[\"'`)}}]{{0,3}}(?:[,;\s]|\Z)")
        names: dict[str, None] = {}
        for end in islice(ends.finditer(self._text), _MOST_ENDS):
            names.update(dict.fromkeys(self._assigned(end.start(), end.end())))
            if len(names) >= _MOST_CARRIERS:
                break
        return [*names]

    def _assigned(self, start: int, end: int) -> Iterator[str]:
        """The variable whose value has this end."""
        first = max(start - _LONGEST, 0)
        line = max(self._text.rfind("\n", first, start) + 1, first)
        matches = [*_ASSIGNMENT.finditer(self._text, line, end), *_ENV.finditer(self._text, line, end)]
        if matches and self._is_carrier(matches[-1].end()):
            yield matches[-1]["name"]

    def _is_carrier(self, at: int) -> bool:
        value = self._value(at)
        return value is not None and not self._keys.isdisjoint(segment.word for segment in value.segments)

    def filled(self, expression: Expression, depth: int = 0) -> Expression:
        """The expression, with what its variables hold, if that is an address or more than one segment."""
        authority = expression.authority
        if authority is not None and (held := self._held(authority)) is not None and len(held.segments) == 1:
            expression = expression._replace(authority=_moved(held.segments[0], authority, is_inner=True))
        index = 0
        while index < len(expression.segments) and len(expression.segments) < 3 * _DEEPEST + 20:
            held = self._held(expression.segments[index])
            if held is None or not self._is_telling(held, index, expression):
                index += 1
                continue
            self.followed.update(_NAME.findall(expression.segments[index].text))
            if depth < _DEEPEST:
                held = self.filled(held, depth + 1)
            expression = _spliced(expression, index, held)
            index += len(held.segments)
        return expression

    def _is_telling(self, held: Expression, index: int, expression: Expression) -> bool:
        if held.authority is not None:
            return index == 0 and expression.authority is None
        first = held.segments[0]
        return len(held.segments) > 1 or first.word in self._keys or (index == 0 and self._is_host(first))

    def _is_host(self, segment: Segment) -> bool:
        """Whether a word is a host, and not an attribute of an object."""
        before = self._text[segment.start - 1 : segment.start]
        return before in {"=", '"', "'", "`"} and bool(_HOST.fullmatch(segment.word))

    def literal(self, text: str, at: int) -> str:
        """What a variable holds, if that is one word; otherwise the text as it is."""
        part = Part(text, at, at, is_dynamic=True)
        held = self._held(Segment.of([part]))
        return held.segments[0].word or text if held is not None and len(held.segments) == 1 else text

    def _held(self, segment: Segment) -> Expression | None:
        if len(segment.parts) != 1 or not segment.is_dynamic or (name := _NAME.search(segment.text)) is None:
            return None
        places = self._values.get(name[1])
        if not places:
            return None
        # The last value before its use; a value may also stand below, as in a table of settings.
        index = max(bisect(places, segment.start) - 1, 0)
        at = places[index]
        is_itself = at <= segment.start < at + _LONGEST and "\n" not in self._text[at : segment.start]
        return None if is_itself else self._value(at)

    def _value(self, at: int) -> Expression | None:
        if at not in self._parsed:
            self._parsed[at] = self._read(at)
        return self._parsed[at]

    def _read(self, at: int) -> Expression | None:
        line = self._text.find("\n", at, at + _LONGEST)
        end = line if line >= 0 else min(at + _LONGEST, len(self._text))
        url = _URL.search(self._text, at, end)
        expression = self._parse(url.start() if url else at, end)
        if expression is not None and (url or _start(expression) <= at + 1):
            return expression
        if url:
            return Expression((), _literal(url, "host"))
        word = _WORD.match(self._text, at, end)
        return Expression((_literal(word, 0),)) if word else None


def _start(expression: Expression) -> int:
    return (expression.authority or expression.segments[0]).start


def _literal(match: re.Match[str], group: int | str) -> Segment:
    return Segment.of([Part(match[group], *match.span(group), is_dynamic=False)])


def _moved(segment: Segment, to: Segment, *, is_inner: bool) -> Segment:
    """A segment of a variable's value, at the place of the variable."""
    parts = tuple(part._replace(start=to.start, end=to.end) for part in segment.parts)
    return segment._replace(start=to.start, end=to.end, parts=parts, is_inner=is_inner)


def _spliced(expression: Expression, index: int, held: Expression) -> Expression:
    place = expression.segments[index]
    inner = tuple(
        _moved(segment, place, is_inner=number > 0 or held.authority is not None)
        for number, segment in enumerate(held.segments)
    )
    more = len(inner) - 1
    authority = _moved(held.authority, place, is_inner=True) if held.authority is not None else expression.authority
    return Expression(
        (*expression.segments[:index], *inner, *expression.segments[index + 1 :]),
        authority,
        held.is_rooted if index == 0 else expression.is_rooted,
        ends=frozenset(end + more if end > index else end for end in expression.ends),
        scheme=held.scheme or expression.scheme,
    )
