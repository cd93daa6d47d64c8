"""Calls inside a string of another language, such as a scalar of YAML or a string of Groovy."""

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple


class Quoting(Enum):
    """How a string is written in a file."""

    YAML_PLAIN = "plain"
    YAML_FOLDED = ">"
    YAML_SINGLE = "'"
    YAML_DOUBLE = '"'
    GROOVY_SINGLE = "sh '"
    GROOVY_DOUBLE = 'sh "'

    @property
    def is_groovy(self) -> bool:
        """Whether it is a string of Groovy."""
        return self in {Quoting.GROOVY_SINGLE, Quoting.GROOVY_DOUBLE}


class Embedding(NamedTuple):
    """The string that holds a call.

    Attributes:
        quoting: how it is written.
        start: where it starts in the file, with its quotes.
        end: where it ends.
        is_exact: whether it is known where in the string the call is.
    """

    quoting: Quoting
    start: int
    end: int
    is_exact: bool = False


class Places(NamedTuple):
    """Where each character of a string starts and ends in the file."""

    starts: list[int]
    ends: list[int]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The place of a part of the string, which must not be empty."""
        return self.starts[start], self.ends[end - 1]


_YAML_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\", "/": "/", " ": " "}
_GROOVY_ESCAPES = {"n": "\n", "t": "\t"}


def places(value: str, text: str, start: int, end: int, quoting: Quoting) -> Places | None:
    """Find each character of a string in the file; None if one is not there as it is, or as a plain escape.

    Args:
        value: the string.
        text: the file.
        start: where the inside of the string starts.
        end: where it ends.
        quoting: how it is written.
    """
    found = Places([], [])
    pieces = _pieces(text, start, end, quoting)
    folds = not quoting.is_groovy
    at = 0
    for char, first, last in pieces:
        if folds and char.isspace() and last - first == 1:
            continue
        while folds and at < len(value) and value[at].isspace() and value[at] != char:
            _add(found, found.ends[-1] if found.ends else first, first)
            at += 1
        if at < len(value) and value[at] == char:
            _add(found, first, last)
            at += 1
        else:
            return None
    while folds and at < len(value) and value[at].isspace():
        _add(found, end, end)
        at += 1
    return found if at == len(value) else None


def _add(found: Places, start: int, end: int) -> None:
    found.starts.append(start)
    found.ends.append(end)


def _pieces(text: str, at: int, end: int, quoting: Quoting) -> Iterator[tuple[str, int, int]]:
    """Each character that the inside of a string stands for, with its place."""
    while at < end:
        char, width = text[at], 1
        if quoting is Quoting.YAML_SINGLE and char == "'":
            width = 2
        elif char == "\\" and (quoting is Quoting.YAML_DOUBLE or quoting.is_groovy):
            after = text[at + 1 : at + 2]
            width = 3 if after == "\r" else 2
            if after in {"\r", "\n"}:
                at += width
                continue
            escapes = _GROOVY_ESCAPES if quoting.is_groovy else _YAML_ESCAPES
            char = escapes.get(after, after if quoting.is_groovy else "")
        yield char, at, at + width
        at += width


def encode(text: str, quoting: Quoting, *, is_triple: bool = False) -> str:
    """Write a line of text for the inside of a string. In a plain or folded scalar it stays what it is.

    Args:
        text: the line.
        quoting: how the string is written.
        is_triple: whether it is one of Groovy with three quotes, and no quote follows the line.
    """
    match quoting:
        case Quoting.YAML_SINGLE:
            return text.replace("'", "''")
        case Quoting.YAML_DOUBLE:
            return text.replace("\\", "\\\\").replace('"', '\\"')
        case Quoting.GROOVY_SINGLE | Quoting.GROOVY_DOUBLE:
            quote = "'" if quoting is Quoting.GROOVY_SINGLE else '"'
            text = text.replace("\\", "\\\\")
            return text if is_triple and quote * 3 not in text else text.replace(quote, f"\\{quote}")
        case _:
            return text
