"""Finds the paths of URLs in any text: written out, with templates in them, or joined from pieces."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

from proxy.scan.tokens import FIRST, INSIDE, LIST, NEXT_ITEM

_LONGEST = 32
"""The most segments that a path may have."""

_NEAR = 1000
"""How many characters before and after an anchor are examined."""


class Part(NamedTuple):
    """A piece of a segment: literal text, or a variable or template."""

    text: str
    start: int
    end: int
    is_dynamic: bool


class Segment(NamedTuple):
    """The text between two slashes.

    Attributes:
        text: for the report.
        start, end: its offsets.
        word: the literal text, if it comes before any variable; a variable with a query may follow. Otherwise empty.
        parts: its pieces.
        is_dynamic: whether no part of it is literal.
        is_inner: whether it comes from a variable, and not from its begin.
    """

    text: str
    start: int
    end: int
    word: str
    parts: tuple[Part, ...]
    is_dynamic: bool
    is_inner: bool = False

    @classmethod
    def of(cls, parts: Sequence[Part]) -> Self:
        """Join pieces, of which there is at least one."""
        literal = [part.text for part in parts if not part.is_dynamic]
        is_word = not any(part.is_dynamic for part in parts[: len(literal)])
        text, word = "".join(part.text for part in parts), "".join(literal) if is_word else ""
        return cls(text, parts[0].start, parts[-1].end, word, tuple(parts), not literal)


class Expression(NamedTuple):
    """A path as it is written in a file.

    Attributes:
        segments: of the path, without the authority of the URL.
        authority: the segment after ``://``, or None.
        is_rooted: whether it begins with a slash.
        ends: numbers of segments after which the path may end.
        is_list: whether the segments are items of a list, without slashes.
        scheme: what comes before ``://``, if it is written out.
    """

    segments: tuple[Segment, ...]
    authority: Segment | None = None
    is_rooted: bool = False
    ends: frozenset[int] = frozenset()
    is_list: bool = False
    scheme: str = ""


def regions(text: str, anchor: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """The regions around the anchors in a text, without overlap."""
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


_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+]{0,10}+(?=:\Z)")


class _Builder:
    """Builds expressions from tokens, one after another."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self.parts: list[Part] = []
        self._segments: list[Segment] = []
        self._authority: Segment | None = None
        self._is_rooted = False
        self._slashes = 0
        self._awaits_authority = False
        self._scheme = ""
        self._ends: set[int] = set()

    @property
    def is_empty(self) -> bool:
        return not (self.parts or self._segments or self._slashes)

    @property
    def is_full(self) -> bool:
        return len(self._segments) >= _LONGEST or len(self.parts) >= _LONGEST

    @property
    def is_word(self) -> bool:
        """Whether there is only a word so far; before a quote that is a string prefix or a keyword."""
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
                scheme = _SCHEME.search(self._segments[-1].word)
                self._scheme = scheme[0].lower() if scheme else ""
                self._segments.clear()
                self._awaits_authority = True

    def may_end(self) -> None:
        self._ends.add(len(self._segments) + bool(self.parts))

    def finish(self) -> Expression | None:
        """Return the expression, unless it is only a word, and start anew."""
        if not self._segments and self._authority is None:
            self._clear()
            return None
        if self.parts and not self.parts[-1].is_dynamic:
            self._strip()
        self._close()
        expression = Expression(
            tuple(self._segments),
            self._authority,
            self._is_rooted,
            ends=frozenset(self._ends),
            scheme=self._scheme,
        )
        self._clear()
        return expression

    def _strip(self) -> None:
        """Remove punctuation that belongs to the sentence."""
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


def path_at(text: str, start: int, end: int, anchor: re.Pattern[str]) -> Expression | None:
    """The path that begins at an offset, if one does; otherwise as `paths`."""
    return next(_attempts(text, start, end, anchor), None)


def paths(text: str, start: int, end: int, anchor: re.Pattern[str]) -> Iterator[Expression]:
    """Find the paths in a region of the text, including those joined from pieces.

    Args:
        text: the whole text.
        start: offset of the region.
        end: offset behind it.
        anchor: what to look for; if a template contains it, its inside is examined.
    """
    return filter(None, _attempts(text, start, end, anchor))


def _attempts(text: str, start: int, end: int, anchor: re.Pattern[str]) -> Iterator[Expression | None]:
    """Where something ends, the path that ended there, or None."""
    builder = _Builder()
    at = start
    while at < end:
        token = (FIRST if builder.is_empty else INSIDE).match(text, at, end)
        if token is None or (_is_dynamic(token) and anchor.search(token[0])):
            at, ended = _after_opening(text, at, end), True
        else:
            at, ended = token.end(), _take(token, builder)
        if ended or builder.is_full:
            yield builder.finish()
    yield builder.finish()


def _is_dynamic(token: re.Match[str]) -> bool:
    return token.lastgroup in {"head", "joined", "closed", "template"}


_OPENING = re.compile(r"[$#%@\\]?[{(<]+|\w++|.", re.DOTALL)


def _after_opening(text: str, at: int, end: int) -> int:
    """Where the inside of a template begins."""
    opening = _OPENING.match(text, at, end)
    return opening.end() if opening else at + 1


def _take(token: re.Match[str], builder: _Builder) -> bool:
    """Add a token to the builder. Returns whether the expression has ended."""
    kind, shown, span = token.lastgroup, token[0], token.span()
    match kind:
        case "text":
            builder.add(shown, *span)
        case "template":
            builder.add(shown, *span, dynamic=True)
        case "slash":
            builder.slash()
        case "colon" if builder.parts:
            builder.add(shown, *span)
        case "quote" if not builder.is_empty:
            return builder.is_word or bool(builder.parts and builder.parts[-1].text.endswith(":"))
        case "adjacent" if not builder.is_empty:
            builder.may_end()
        case "glue" if not builder.is_empty:
            pass
        case "head" | "joined" | "closed":
            return _take_value(token, builder)
        case _:
            return True
    return False


def _take_value(token: re.Match[str], builder: _Builder) -> bool:
    group = {"head": "first", "joined": "values", "closed": "value"}[str(token.lastgroup)]
    builder.add("{" + " ".join(token[group].split()) + "}", *token.span(group), dynamic=True)
    return token.lastgroup == "joined" and token["again"] is None


def lists(text: str, start: int, end: int, keys: frozenset[str]) -> Iterator[Expression]:
    """Find paths whose segments are items of a list, or arguments of calls in a chain.

    Args:
        text: the whole text.
        start: offset of the region.
        end: offset behind it.
        keys: words that count only if they are a whole item; inside a longer item they belong to another path.
    """
    for match in LIST.finditer(text, start, end):
        if segments := tuple(_items(text, *match.span(), keys)):
            yield Expression(segments, is_list=True)


def _items(text: str, at: int, end: int, keys: frozenset[str]) -> Iterator[Segment]:
    while item := NEXT_ITEM.match(text, at, end):
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
