"""What the scan finds in a text."""

import enum
from typing import NamedTuple


class Confidence(enum.StrEnum):
    """How sure it is that a finding is a call of a withdrawn endpoint.

    Attributes:
        CERTAIN: nothing else is written like this.
        LIKELY: a part of it was guessed, such as what a variable holds.
        LOOK: suspicious, but not a whole call: someone has to look at it.
        NOTE: not a call. It helps to change the calls.
    """

    CERTAIN = "certain"
    LIKELY = "likely"
    LOOK = "look"
    NOTE = "note"

    @property
    def is_call(self) -> bool:
        """Whether it counts as a call."""
        return self in {Confidence.CERTAIN, Confidence.LIKELY}


PATH, ANSWER, BASE_URL = "path", "answer", "base_url"
"""What stands for the endpoint in a finding that is not a call."""


class Hit(NamedTuple):
    """A finding, with offsets in the text.

    Attributes:
        start, end: where it is.
        endpoint: name of the endpoint, as in the caller record, or `PATH`, `ANSWER` or `BASE_URL`.
        method: HTTP method; None if it is not known.
        replacement: what to write instead, for people.
        confidence: how sure it is.
        edit: what replaces it exactly, if nothing else has to change.
        segments: the segments of the path as they are written, by placeholder: ``{"{org}": "$ORG"}``.
    """

    start: int
    end: int
    endpoint: str
    method: str | None
    replacement: str
    confidence: Confidence
    edit: str | None = None
    segments: tuple[tuple[str, str], ...] = ()


class Finding(NamedTuple):
    """A finding, with its place in the file.

    Attributes:
        line, column: where it begins, counted from 1; columns count characters.
        end_line, end_column: where it ends: the place of the first character after it.
        found: the text, with white space collapsed.
        hit: everything else.
    """

    line: int
    column: int
    end_line: int
    end_column: int
    found: str
    hit: Hit


class Located(NamedTuple):
    """A finding in a file.

    Attributes:
        file: path of the file, as the command line leads to it.
        callers: names of callers in the log that are likely to be this call.
    """

    file: str
    finding: Finding
    callers: tuple[str, ...] = ()
