"""What replaces a part of a file."""

from bisect import bisect_right
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from proxy.calls.call import Call
from proxy.scan.finding import Hit


class Edit(NamedTuple):
    """The text that replaces a part of another one."""

    start: int
    end: int
    text: str


class Change(NamedTuple):
    """Edits that only make sense together.

    Attributes:
        edits: they do not overlap.
        old, new: the call that they change, and what it becomes; None if only its path changes.
        caution: why somebody has to look at it before it is used, if so.
    """

    edits: tuple[Edit, ...]
    old: Call | None = None
    new: Call | None = None
    caution: str | None = None


class Cover:
    """Which of several changes replaces a place."""

    def __init__(self, changes: Iterable[Change]) -> None:
        edits = [(edit.start, edit.end, change) for change in changes for edit in change.edits if edit.end > edit.start]
        self._edits = sorted(edits, key=lambda edit: edit[:2])
        self._starts = [start for start, _, _ in self._edits]

    def of(self, hit: Hit) -> Change | None:
        """The change that replaces a finding, if one does."""
        at = bisect_right(self._starts, hit.start) - 1
        return self._edits[at][2] if at >= 0 and hit.end <= self._edits[at][1] else None


class Refusal(NamedTuple):
    """A call that is not changed.

    Attributes:
        reason: why.
        new_call: the new call in the language of the file, for people; empty if it is not known.
    """

    reason: str
    new_call: str = ""


def edits_of(changes: Iterable[Change]) -> list[Edit]:
    """The edits of several changes, in the order of the text. The same edit can be part of two changes."""
    return sorted({edit for change in changes for edit in change.edits})


def overlap(edits: list[Edit]) -> bool:
    """Whether some of these edits, in the order of the text, change the same place."""
    return any(after.start < before.end for before, after in pairwise(edits))


def splice(text: str, edits: list[Edit]) -> str:
    """The text with all edits made; everything else stays as it is."""
    parts, at = [], 0
    for edit in edits:
        parts += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join([*parts, text[at:]])
