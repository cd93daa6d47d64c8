"""How far each file of the caller log is counted."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from proxy.callers.ledger.database import Transaction
from proxy.callers.ledger.file_id import Mark
from proxy.callers.ledger.schema import to_microseconds, to_moment
from proxy.callers.ledger.tables.unreadable import remove_unreadable


class Progress(NamedTuple):
    """How far a file of the caller log is counted.

    Attributes:
        file: the ID of its row (`counted_file.CountedFile`).
        name: its path.
        begin: bytes that were counted before.
        end: bytes that are counted with this.
        at: the time.
        lines: lines up to the end.
        skipped: bytes that were left out at its beginning.
        marks: what it contains at some positions up to the end.
        torn: what may be calls after the end, and is counted as unreadable until more of the file is seen: by day;
            None if nothing new is known about that.
    """

    file: str
    name: str
    begin: int
    end: int
    at: datetime
    lines: int = 0
    skipped: int = 0
    marks: Sequence[Mark] = ()
    torn: Mapping[int, int] | None = MappingProxyType({})


class Counted(NamedTuple):
    """How far a file of the caller log was counted, and when: bytes and lines from its beginning, and its marks."""

    position: int
    lines: int
    at: datetime
    marks: Sequence[Mark] = ()


class CountedMeanwhile(Exception):
    """Another process has counted the same part of the log."""


_encode = msgspec.json.Encoder().encode
_decode_marks = msgspec.json.Decoder(list[Mark]).decode
_decode_torn = msgspec.json.Decoder(dict[int, int]).decode


def counted(transaction: Transaction, file: str) -> Counted | None:
    """How far a file is counted; None if nobody has begun."""
    query = "SELECT position, lines, counted, marks FROM files WHERE id = ?"
    for position, lines, at, marks in transaction.fetch(query, [file]):
        return Counted(position, lines, to_moment(at), _decode_marks(marks))
    return None


def advance(transaction: Transaction, progress: Progress) -> None:
    """Note that a part of a file is counted.

    Raises:
        CountedMeanwhile: another process has counted it.
    """
    transaction.execute(
        "INSERT INTO files (id, name, position, lines, counted, marks, torn) VALUES (?, ?, ?, 0, 0, '[]', '{}')"
        " ON CONFLICT (id) DO NOTHING",
        [progress.file, progress.name, progress.skipped],
    )
    [(torn,)] = transaction.fetch("SELECT torn FROM files WHERE id = ?", [progress.file])
    changed = transaction.execute(
        "UPDATE files SET position = ?, lines = ?, name = ?, counted = ?, marks = ?, torn = ?"
        " WHERE id = ? AND position = ? AND torn = ?",
        [
            progress.end,
            progress.lines,
            progress.name,
            to_microseconds(progress.at),
            _encode(progress.marks).decode(),
            torn if progress.torn is None else _encode(dict(progress.torn)).decode(),
            progress.file,
            progress.begin,
            torn,
        ],
    )
    if not changed:
        raise CountedMeanwhile
    if progress.torn is not None:
        remove_unreadable(transaction, _decode_torn(torn))
