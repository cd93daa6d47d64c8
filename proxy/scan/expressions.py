"""Reads the paths of URLs out of any text: written out, with templates in them, or joined from pieces.

Every part of every pattern is bounded or possessive, so that the time grows with the text and not faster.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

_LONGEST = 32
"""How many segments a path may have."""

_NEAR = 1000
"""How many characters before and after an anchor are looked at."""


class Part(NamedTuple):
    """A piece of a segment: literal text, or what stands for text that only a run knows."""

    text: str
    start: int
    end: int
    is_dynamic: bool


class Segment(NamedTuple):
    """What stands between two slashes.

    Attributes:
        text: as it is to be shown.
        start, end: its offsets.
        word: the literal text, where none stands behind a variable; a variable may follow, as one with a query does.
        parts: its pieces.
        is_dynamic: whether no part of it is literal.
    """

    text: str
    start: int
    end: int
    word: str
    parts: tuple[Part, ...]
    is_dynamic: bool

    @classmethod
    def of(cls, parts: Sequence[Part]) -> Self:
        """The segment of some pieces, one at least."""
        literal = [part.text for part in parts if not part.is_dynamic]
        is_word = not any(part.is_dynamic for part in parts[: len(literal)])
        text, word = "".join(part.text for part in parts), "".join(literal) if is_word else ""
        return cls(text, parts[0].start, parts[-1].end, word, tuple(parts), not literal)


class Expression(NamedTuple):
    """A path as a file spells it.

    Attributes:
        segments: of the path, without the authority of the URL.
        authority: what stood behind ``://``, or None.
        is_rooted: whether it begins with a slash.
        ends: counts of segments after which it could already be over.
    """

    segments: tuple[Segment, ...]
    authority: Segment | None = None
    is_rooted: bool = False
    ends: frozenset[int] = frozenset()


# --- the tokens

_QUOTE = "[\"'`]"
_OPEN = f"(?:[$@]{{1,2}}|[rbfuRBFU]{{1,2}})?{_QUOTE}{{1,3}}"
_ARGUMENTS = r"\([^()\n]{0,80}+(?:\([^()\n]{0,80}+\)[^()\n]{0,80}+){0,2}+\)"
_NAME = r"[$@]?[A-Za-z_]\w{0,80}+"
_VALUE = rf"{_NAME}(?:(?:\.|->|::|\?\.)[$@]?[A-Za-z_]\w{{0,80}}+|{_ARGUMENTS}|\[[^\[\]\n]{{0,60}}+\]){{0,8}}+"
_TO_QUOTE = r"\s{0,80}+(?:\+\+?|\.\.?|~|&|\|\||<>)\s{0,80}+"
# A dot behind a string calls a method in most languages; it joins in PHP and Perl.
_TO_VALUE = r"(?:\s{0,80}+(?:\+\+?|\.\.)\s{0,80}+|\s{1,80}+\.\s{1,80}+|\s{0,80}+\.\s{0,80}+(?=\$))"
_VALUES = rf"{_VALUE}(?:{_TO_VALUE}{_VALUE}){{0,3}}+"

_BELOW = rf"{_QUOTE}[ \t]{{0,80}}+\\?\r?\n[ \t]{{0,80}}+{_OPEN}"

_TEMPLATES = (
    r"\$?\{{2,3}[^{}\n]{1,160}+\}{2,3}",  # {{ org }}, ${{ github.org }}
    r"(?:\\?\${1,2}|[#%@])\{[^{}\n]{0,120}+(?:\{[^{}\n]{0,80}+\}[^{}\n]{0,80}+){0,2}+\}",  # ${ORG:-${TEAM}}, #{org}
    r"\{[^{}\n/]{0,120}+\}",  # {org}, {}, {quote(org, safe='')}
    rf"[$\\]{_ARGUMENTS}",  # $(ORG), $(urlencode "$NAME"), \(org)
    r"\$env:\w{1,80}+",
    r"\\?\${1,2}[A-Za-z_]\w{0,80}+(?:->\w{1,80}+|\[['\"]?\w{1,80}+['\"]?\]){0,3}+",  # $ORG, $$ORG, $this->org
    r"\$[0-9@*]",
    r"%[A-Za-z_]\w{2,80}+%(?![0-9A-Fa-f]{2})",  # %ORG% of a batch file
    r"%(?![0-9A-Fa-f]{2})(?:\(\w{1,80}+\)|\d\$)?[sdvq]",  # %s, %(org)s, %1$s
    r"<[A-Za-z][\w .-]{0,40}+>",
    r"(?<=[/\"'`]):[A-Za-z_]\w{0,80}+",  # :org
    r"\*(?=/)|(?<=/)\*",
    r"\((?:\?P?<\w{1,40}+>)?(?:\[[^\]\n]{1,20}+\]|\.|\\\w)[+*]\??\)",  # ([^/]+), (?P<org>.+)
    r"\[\^[^\]\n]{1,20}+\][+*]",
)
_TOKENS = (
    rf"(?P<joined>{_QUOTE}{{1,3}}{_TO_VALUE}(?P<values>{_VALUES})(?P<again>{_TO_QUOTE}{_OPEN})?)",
    rf"(?P<closed>{_QUOTE}{_TO_QUOTE}(?P<value>{_VALUE}){_TO_QUOTE}{_OPEN})",
    rf"(?P<glue>{_QUOTE}{_TO_QUOTE}{_OPEN})",
    # Strings one below the other are one in Python and C, and may be two anywhere else: a slash must be at the seam.
    rf"(?P<adjacent>(?:(?<=/){_BELOW}|{_BELOW}(?=/)))",
    rf"(?P<template>{'|'.join(_TEMPLATES)})",
    r"(?P<slash>\\?/)",
    r"(?P<text>(?<=ci_workflows/)[\w.-]{1,80}+(?: [\w.-]{1,80}+){1,8}+(?=/trigger\b)"
    r"|(?:[\w.~@-]|%[0-9A-Fa-f]{2}|(?<=\w)\+(?=\w))++)",
    r"(?P<colon>:)",
    rf"(?P<quote>{_QUOTE}{{1,3}}(?=[\w/$%{{~@-]))",
    r"(?P<other>[\s,;=)}\]|>?&!^]++|.)",
)
_INSIDE = re.compile("|".join(_TOKENS), re.DOTALL)
_FIRST = re.compile(rf"(?P<head>(?<![\w.$@])(?P<first>{_VALUES}){_TO_QUOTE}{_OPEN})|{_INSIDE.pattern}", re.DOTALL)

_ITEM_VALUE = (
    rf"{_NAME}(?:\.[A-Za-z_]\w{{0,80}}+|\([^(),\"'`\n]{{0,80}}+\)|\(['\"][A-Z_]{{1,40}}+['\"]\)"
    r"|\[['\"]?\w{1,80}+['\"]?\]){0,8}+"
)
_ITEM = rf"(?:{_OPEN}[^\"'`\n]{{0,120}}+{_QUOTE}|{_ITEM_VALUE})"
_BETWEEN = r"\s{0,80}+(?:,|/|\)\s{0,80}+\.\s{0,80}+\w{1,30}+\s{0,8}+\()\s{0,80}+"
_LIST = re.compile(rf"(?<![\w.$@]){_ITEM}(?:{_BETWEEN}{_ITEM}){{1,40}}+")
_NEXT_ITEM = re.compile(rf"(?:{_BETWEEN})?(?P<item>{_ITEM})")


def regions(text: str, anchor: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """The stretches of the text around its anchors, none overlapping another."""
    start = end = -1
    for match in anchor.finditer(text):
        first, last = max(match.start() - _NEAR, 0), match.end() + _NEAR
        if first > end:
            if end >= 0:
                yield start, end
            start = first
        end = last
    if end >= 0:
        yield start, min(end, len(text))


# --- the expressions


class _Reader:
    """Collects tokens into one expression after another."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self.parts: list[Part] = []
        self._segments: list[Segment] = []
        self._authority: Segment | None = None
        self._is_rooted = False
        self._slashes = 0
        self._awaits_authority = False
        self._ends: set[int] = set()

    @property
    def is_empty(self) -> bool:
        return not (self.parts or self._segments or self._slashes)

    @property
    def is_full(self) -> bool:
        return len(self._segments) >= _LONGEST or len(self.parts) >= _LONGEST

    @property
    def is_word(self) -> bool:
        """Whether there is only a word yet, which before a quote is a prefix of the string or a keyword."""
        return not (self._segments or self._slashes or any(part.is_dynamic for part in self.parts))

    def add(self, text: str, start: int, end: int, *, dynamic: bool = False) -> None:
        self.parts.append(Part(text, start, end, dynamic))

    def slash(self) -> None:
        if self.is_empty:
            self._is_rooted = True
        if self.parts:
            self._close()
            self._slashes = 1
        else:
            self._slashes += 1
            if self._slashes == 2 and self._segments and self._segments[-1].text.endswith(":"):
                self._segments.clear()
                self._awaits_authority = True

    def may_end(self) -> None:
        self._ends.add(len(self._segments) + bool(self.parts))

    def finish(self) -> Expression | None:
        """The expression, where it is more than a word."""
        if not self._segments:
            self._clear()
            return None
        if self.parts and not self.parts[-1].is_dynamic:
            self._strip()
        self._close()
        expression = Expression(tuple(self._segments), self._authority, self._is_rooted, ends=frozenset(self._ends))
        self._clear()
        return expression

    def _strip(self) -> None:
        """Take the punctuation of the sentence away."""
        text, start, _, _ = self.parts.pop()
        if bare := text.rstrip(".:"):
            self.add(bare, start, start + len(bare))

    def _close(self) -> None:
        if not self.parts:
            return
        segment = Segment.of(self.parts)
        self.parts = []
        if self._awaits_authority:
            self._authority, self._awaits_authority = segment, False
        else:
            self._segments.append(segment)


def paths(text: str, start: int, end: int, anchor: re.Pattern[str]) -> Iterator[Expression]:
    """The paths that stand in a stretch of the text, joined pieces included.

    Args:
        text: the whole text.
        start: offset of the stretch.
        end: offset behind it.
        anchor: what is looked for; a template that holds it is read from within.
    """
    reader = _Reader()
    at = start
    while at < end:
        token = (_FIRST if reader.is_empty else _INSIDE).match(text, at, end)
        if token is None or (_is_dynamic(token) and anchor.search(token[0])):
            at, over = _into(text, at, end)
        else:
            at, over = token.end(), _take(token, reader)
        if (over or reader.is_full) and (expression := reader.finish()):
            yield expression
    if expression := reader.finish():
        yield expression


def _is_dynamic(token: re.Match[str]) -> bool:
    return token.lastgroup in {"head", "joined", "closed", "template"}


_OPENING = re.compile(r"[$#%@\\]?[{(<]+|\w++|.", re.DOTALL)


def _into(text: str, at: int, end: int) -> tuple[int, bool]:
    opening = _OPENING.match(text, at, end)
    return (opening.end() if opening else at + 1), True


def _take(token: re.Match[str], reader: _Reader) -> bool:
    """Give a token to the reader; the answer is whether the expression is over."""
    kind, shown, span = token.lastgroup, token[0], token.span()
    match kind:
        case "text":
            reader.add(shown, *span)
        case "template":
            reader.add(shown, *span, dynamic=True)
        case "slash":
            reader.slash()
        case "colon" if reader.parts:
            reader.add(shown, *span)
        case "quote" if not reader.is_empty:
            return reader.is_word or bool(reader.parts and reader.parts[-1].text.endswith(":"))
        case "adjacent" if not reader.is_empty:
            reader.may_end()
        case "glue" if not reader.is_empty:
            pass
        case "head" | "joined" | "closed":
            return _take_value(token, reader)
        case _:
            return True
    return False


def _take_value(token: re.Match[str], reader: _Reader) -> bool:
    group = {"head": "first", "joined": "values", "closed": "value"}[str(token.lastgroup)]
    reader.add("{" + " ".join(token[group].split()) + "}", *token.span(group), dynamic=True)
    return token.lastgroup == "joined" and token["again"] is None


def lists(text: str, start: int, end: int, keys: frozenset[str]) -> Iterator[Expression]:
    """The paths whose segments are items of a list, or arguments of calls one behind the other.

    Args:
        text: the whole text.
        start: offset of the stretch to read.
        end: offset behind it.
        keys: words that count only as an item of their own; in a longer one they belong to a path of its own.
    """
    for match in _LIST.finditer(text, start, end):
        if segments := tuple(_items(text, *match.span(), keys)):
            yield Expression(segments)


def _items(text: str, at: int, end: int, keys: frozenset[str]) -> Iterator[Segment]:
    while item := _NEXT_ITEM.match(text, at, end):
        segments = _item(item["item"], *item.span("item"))
        alone = len(segments) == 1
        yield from (segment if alone or segment.word not in keys else segment._replace(word="") for segment in segments)
        at = item.end()


_HOLDS_VARIABLE = re.compile(r"[${]|%[sdv(]|^:")


def _item(item: str, start: int, end: int) -> Sequence[Segment]:
    if item[-1] not in "\"'`":
        return [Segment.of([Part("{" + item + "}", start, end, is_dynamic=True)])]
    words = item.partition(item[-1])[2].strip("\"'`").split("/")
    return [Segment.of([Part(word, start, end, bool(_HOLDS_VARIABLE.search(word)))]) for word in words if word]
