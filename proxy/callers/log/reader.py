"""Reads the records in caller logs: from plain files, compressed files and standard input."""

import io
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from proxy.callers.log.content import Damaged, chunks, opened
from proxy.callers.log.copies import Log, without_copies
from proxy.callers.log.envelope import LEFT_OUT, UNREADABLE, Finder, Pair, decode
from proxy.callers.log.unreadable import Neighbours, Unreadable
from proxy.callers.record import Heartbeat, ReportedCall
from proxy.output import messages
from proxy.output.formatting import pluralize

LONGEST_LINE = 1 << 20
"""Bytes. A record has about 4 KiB at most."""

Progress = Callable[[int], None]
Batch = tuple[list[ReportedCall | Heartbeat], list[bytes]]


class Reader:
    """Iterates over the records in logs.

    Attributes:
        files: number of files read.
        read: number of records read.
        skipped: number of lines that are not records.
        unreadable: the parts of the logs that may be calls.

    Args:
        paths: paths of the logs; ``-`` is standard input.
        progress: called with the bytes read since the last call, as stored on disk.
        warn: is told what was not read.
        latest: no record is of this time or later; None for no limit.
    """

    def __init__(
        self,
        paths: Iterable[str],
        progress: Progress = lambda _: None,
        *,
        warn: Callable[[str], None] = messages.warning,
        latest: datetime | None = None,
    ) -> None:
        self.files = self.read = self.skipped = 0
        self.unreadable = Unreadable()
        self._paths = list(paths)
        self._progress, self._warn = progress, warn
        self._latest = latest

    def __iter__(self) -> Iterator[Batch]:
        """Batches of records, each record with its line.

        Raises:
            NoLog: a file cannot be opened or read.
        """
        for log in without_copies(self._paths, self._warn):
            with opened(log.path) as stream:
                self.files += 1
                yield from self._read(log, stream)

    def _read(self, log: Log, stream: io.BufferedReader) -> Iterator[Batch]:
        lines = Lines(Neighbours(self.unreadable, log.path, self._latest))
        position = 0
        try:
            for batch, _ in whole_lines(without(chunks(stream), log.skip, lines), LONGEST_LINE):
                records, found = lines.records_in(batch)
                self.read += len(records)
                yield records, found
                before, position = position, stream.tell() if stream.seekable() else 0
                self._progress(position - before)
        except Damaged as damage:
            self._warn(f"{log.path}: {damage}")
            lines.neighbours.add(None)
        lines.end(last_change(stream))
        self.skipped += lines.skipped
        if lines.left_out:
            count = pluralize(lines.left_out, "line")
            self._warn(f"{log.path}: skipped {count} of more than {LONGEST_LINE >> 20} MiB, which no record has")


class Lines:
    """Finds the records in the lines of one log, which may be given in parts.

    Attributes:
        number: how many there were so far.
        skipped: how many of them are not records.
        left_out: how many were too long.
    """

    def __init__(self, neighbours: Neighbours) -> None:
        self.number = self.skipped = self.left_out = 0
        self.neighbours = neighbours
        self._finder = Finder(LONGEST_LINE)

    def records_in(self, lines: list[bytes]) -> Batch:
        """The records in the next lines."""
        try:
            records = [decode(line) for line in lines]
        except UNREADABLE:
            found = [pair for line in lines for pair in self._find(line)]
            return [record for record, _ in found], [line for _, line in found]
        self.number += len(lines)
        self.neighbours.pass_records(records)
        return records, lines

    def end(self, changed: datetime | None) -> None:
        """Count what was not completed.

        Args:
            changed: when the log was last written; None if that is not known.
        """
        for part in self._finder.rest():
            self.neighbours.add(self.number, part)
        self.neighbours.end(changed)

    def _find(self, line: bytes) -> list[Pair]:
        self.number += 1
        parts = self._finder.find(line)
        if parts is None or line.isspace():
            return []
        found = []
        for part in parts:
            if isinstance(part, bytes):
                self.neighbours.add(self.number, part)
            else:
                self.neighbours.pass_records([part[0]])
                found.append(part)
        self.left_out += line is LEFT_OUT
        self.skipped += not found
        return found


def whole_lines(content: Iterable[bytes], longest: int) -> Iterator[tuple[list[bytes], int]]:
    """Split content into lines, each with its newline. `LEFT_OUT` stands for long ones, which are not kept in memory.

    Args:
        content: chunks of it, in order.
        longest: bytes that a line may have.

    Yields:
        Some lines, and the number of bytes up to their end. Only the very last line may lack its newline.
    """
    rest, is_in_long, size = b"", False, 0
    for chunk in content:
        size += len(chunk)
        if is_in_long:
            _, newline, chunk = chunk.partition(b"\n")  # noqa: PLW2901 - what follows the long line
            is_in_long = not newline
        lines = io.BytesIO(rest + chunk).readlines()
        rest = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
        if len(rest) > longest:
            lines.append(rest)
            rest, is_in_long = b"", True
        yield [line if len(line) <= longest else LEFT_OUT for line in lines], size - len(rest)
    if rest:
        yield [rest], size


def without(content: Iterable[bytes], skip: int, lines: Lines) -> Iterator[bytes]:
    """The content after so many bytes. The lines before it are counted."""
    for chunk in content:
        lines.number += chunk.count(b"\n", 0, skip) if skip else 0
        yield chunk[skip:]
        skip -= min(skip, len(chunk))


def last_change(stream: io.BufferedReader) -> datetime | None:
    """When a log was last written; None if that is not known."""
    try:
        found = os.fstat(stream.fileno())
    except OSError:  # standard input that is not a file
        return None
    return datetime.fromtimestamp(found.st_mtime, UTC) if stat.S_ISREG(found.st_mode) else None
