"""Reads a changed text again, and checks that it says what it is meant to say."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from proxy.calls import reader
from proxy.calls.call import Call, Language, NotRead, Reading
from proxy.scan.finding import Hit
from proxy.scan.fix.change import Change, Cover, edits_of, overlap, splice
from proxy.scan.patterns import find

_MOST, _LENGTH = 64, 4 << 20
"""How often a text is read again at most to find the changes that do not hold, and how many characters in all."""

NOT_READ_BACK = "the changed text does not read back as the new call"


def read(text: str, name: str) -> Reading | NotRead:
    """The calls in a file, or why they cannot be read."""
    try:
        return reader.read(text, name).reading
    except NotRead as problem:
        return problem


class Check:
    """Checks changes of a text.

    Args:
        text: as it is now.
        name: of the file, whose ending says what it is.
        hits: all that the scan finds in it, whether it is to be changed or not.
        calls: those that are read in it.
    """

    def __init__(self, text: str, name: str, hits: Sequence[Hit], calls: Sequence[Call]) -> None:
        self._text = text
        self._name = name
        self._hits = hits
        self._calls = calls
        self._left = max(min(_MOST, _LENGTH // max(len(text), 1)), 1)

    def holding(self, changes: Sequence[Change]) -> list[Change]:
        """Those of the changes that hold, all made at once."""
        return self._holding(changes, [])

    def _holding(self, changes: Sequence[Change], others: list[Change]) -> list[Change]:
        if not changes or self._left == 0:
            return []
        self._left -= 1
        if self._hold([*others, *changes]):
            return list(changes)
        if len(changes) == 1:
            return []
        half = len(changes) // 2
        first = self._holding(changes[:half], others)
        return first + self._holding(changes[half:], others + first)

    def _hold(self, changes: list[Change]) -> bool:
        edits = edits_of(changes)
        if overlap(edits):
            return False
        new_text = splice(self._text, edits)
        return self._finds_only_the_rest(new_text, changes) and self._reads_back(new_text, changes)

    def _finds_only_the_rest(self, new_text: str, changes: list[Change]) -> bool:
        cover = Cover(changes)
        rest = [hit for hit in self._hits if not cover.of(hit)]
        found = Counter((one.hit.endpoint, one.found) for one in find(new_text))
        return not found - Counter((hit.endpoint, _shown(self._text, hit)) for hit in rest)

    def _reads_back(self, new_text: str, changes: list[Change]) -> bool:
        expected = {change.old.span: change.new for change in changes if change.old and change.new}
        if not expected:
            return True
        after = read(new_text, self._name)
        if isinstance(after, NotRead) or len(after.calls) != len(self._calls):
            return False
        return all(
            meaning(new) == meaning(expected[old.span]) if old.span in expected else _is_same(old, new)
            for old, new in zip(self._calls, after.calls, strict=True)
        )


def _shown(text: str, hit: Hit) -> str:
    return " ".join(text[hit.start : hit.end].split())


def _is_same(old: Call, new: Call) -> bool:
    """Whether a call stayed what it was, apart from a path in it that may have changed."""
    return meaning(old._replace(url="")) == meaning(new._replace(url=""))


def meaning(call: Call) -> tuple[Any, ...]:
    """What a call does, and with what, so that two can be compared. Their variables are compared by their source."""
    headers = [tuple(map(call.shown, header)) for header in call.headers]
    if call.language is not Language.SHELL:  # a library that is given a value sends its content type itself
        headers = [header for header in headers if header[0].lower() != "content-type"]
    options = [tuple(map(call.shown, words)) for words in call.options]
    url, prefix = call.shown(call.url), call.prefix.strip()
    return (call.program, call.method, url, headers, _body(call), call.body_file, options, prefix, call.problem)


def _body(call: Call) -> Any:
    try:
        return _value(json.loads(call.body), call) if call.body else None
    except (ValueError, RecursionError):
        return call.shown(call.body)


def _value(value: Any, call: Call) -> Any:
    match value:
        case dict():
            return {call.shown(key): _value(item, call) for key, item in value.items()}
        case [str() as only] if only in call.variables and call.variables[only].is_list:
            return call.shown(only)
        case list():
            return [_value(item, call) for item in value]
        case str():
            return call.shown(value)
    return value
