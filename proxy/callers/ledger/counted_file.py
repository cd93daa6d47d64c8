"""Finds out how far a file of the caller log is counted, even if another file begins with the same lines.

Machines that are copied, and logs that are restored from a backup, go on differently. Then each of them has a row.
"""

from collections.abc import Callable
from typing import NamedTuple

from proxy.callers.ledger.file_id import Mark, last_in_common
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.ledger.tables.files import Counted
from proxy.callers.log.copies import Log


class CountedFile(NamedTuple):
    """How far a file is counted.

    Attributes:
        row: the ID of its row in the ledger.
        first_line: the digest of its first line, see `file_id`.
        begin: bytes that are not counted, because another file has them, too.
        counted: what the ledger has; None if nobody has counted any of it.
        lines: up to `position`.
    """

    row: str
    first_line: str
    begin: int
    counted: Counted | None
    lines: int

    @property
    def position(self) -> int:
        """Bytes up to which the file is counted."""
        return self.counted.position if self.counted is not None else self.begin


def find(
    ledger: Ledger, first_line: str, log: Log, warn: Callable[[str], None] = lambda _: None, *, grows: bool = False
) -> CountedFile:
    """Find out how far a file is counted.

    Args:
        ledger: is asked.
        first_line: its digest, see `file_id`.
        log: the file, and how much of it another file is known to have, too.
        warn: is told what will be counted twice.
        grows: whether it is appended to. Then it is not an older copy of what was counted.

    Raises:
        LedgerUnavailable: it cannot be asked.
        NoLog: the file cannot be read.
    """
    begin, copied = Mark(log.skip, 0, 0, ""), None
    number, row = 0, first_line
    while (counted := ledger.counted(row)) is not None:
        found = CountedFile(row, first_line, 0, counted, counted.lines)
        common, is_longer = last_in_common(log.path, counted.marks)
        if not counted.marks or common == counted.marks[-1]:
            return found
        if not is_longer and not grows and not log.skip:
            copied = copied or found
        begin = max(begin, common or begin)
        number += 1
        row = f"{first_line}.{number}"
    if copied is not None:
        return copied
    if number == 0:
        return CountedFile(row, first_line, 0, None, 0)
    if not log.skip:
        warn(f"{log.path} begins as a log that is counted, and goes on differently from byte {begin.position} on")
    return CountedFile(row, first_line, begin.position, None, begin.lines)
