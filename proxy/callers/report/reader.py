"""Reads the records in caller logs: from plain files, compressed files and standard input."""

import contextlib
import functools
import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import cast

import msgspec

from proxy.callers.log.files import STDIN, NoLog
from proxy.callers.record import Heartbeat, ReportedCall

LONGEST_LINE = 1 << 20
"""Bytes. A record has about 4 KiB at most."""

_CHUNK = 128 << 10
_GZIP = b"\x1f\x8b"
_BEGINNING = b'{"event":'
"""The beginning of every record that the proxy writes. In a string inside a record, the quotes would be escaped."""

Progress = Callable[[int], None]
Batch = tuple[list[ReportedCall | Heartbeat], list[bytes]]
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
decode = msgspec.json.Decoder(ReportedCall | Heartbeat).decode


class Reader:
    """Iterates over the records in logs.

    Attributes:
        files: number of files read.
        read: number of records read.
        skipped: number of lines that are not records.

    Args:
        paths: paths of the logs; ``-`` is standard input.
        progress: called with the bytes read since the last call, as stored on disk.
    """

    def __init__(self, paths: Iterable[str], progress: Progress = lambda _: None) -> None:
        self.files = self.read = self.skipped = 0
        self._paths = list(paths)
        self._progress = progress

    def __iter__(self) -> Iterator[Batch]:
        """Batches of records, each record with its line.

        Raises:
            NoLog: a file cannot be opened or read.
        """
        for path in self._paths:
            try:
                with _opened(path) as stream:
                    self.files += 1
                    yield from map(self._batch, self._lines(path, stream))
            except OSError as error:
                raise NoLog(f"{path}: {error.strerror or error}") from None

    def _batch(self, lines: list[bytes]) -> Batch:
        try:
            records = [decode(line) for line in lines]
        except _UNREADABLE:
            found = [pair for line in lines if (pair := _found(line)) is not None]
            self.skipped += sum(not line.isspace() for line in lines) - len(found)
            records, lines = [record for record, _ in found], [line for _, line in found]
        self.read += len(records)
        return records, lines

    def _lines(self, path: str, stream: io.BufferedReader) -> Iterator[list[bytes]]:
        content = gzip.GzipFile(fileobj=stream) if _is_compressed(stream) else stream
        position = left_out = 0
        try:
            for lines, long in whole_lines(iter(functools.partial(content.read1, _CHUNK), b""), LONGEST_LINE):
                yield lines
                left_out += long
                before, position = position, stream.tell() if stream.seekable() else 0
                self._progress(position - before)
        except (EOFError, gzip.BadGzipFile, zlib.error):
            from proxy.output.diagnostics import log  # noqa: PLC0415 - slow to import

            log.warning("compressed_log_broken", path=path, message="only the records before the damage were read")
        if left_out:
            from proxy.output.diagnostics import log  # noqa: PLC0415 - slow to import

            self.skipped += left_out
            longest = f"no record has more than {LONGEST_LINE >> 20} MiB"
            log.warning("long_lines_skipped", path=path, lines=left_out, message=longest)


def whole_lines(chunks: Iterable[bytes], longest: int) -> Iterator[tuple[list[bytes], int]]:
    """Split content into lines, each with its newline, and leave out long ones without keeping them in memory.

    Args:
        chunks: the content, in order.
        longest: bytes that a line may have.

    Yields:
        Some lines, and how many long ones were left out among them.
    """
    rest, is_in_long = b"", False
    for chunk in chunks:
        if is_in_long:
            _, newline, chunk = chunk.partition(b"\n")  # noqa: PLW2901 - what follows the long line
            is_in_long = not newline
        lines = io.BytesIO(rest + chunk).readlines()
        rest = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
        kept = [line for line in lines if len(line) <= longest]
        left_out = len(lines) - len(kept)
        if len(rest) > longest:
            rest, is_in_long = b"", True
            left_out += 1
        yield kept, left_out
    if rest:
        yield [rest], 0


def _opened(path: str) -> io.BufferedReader:
    if path == STDIN:
        return io.BufferedReader(cast("io.RawIOBase", sys.stdin.buffer), _CHUNK)
    return io.BufferedReader(io.FileIO(path), _CHUNK)


def _is_compressed(stream: io.BufferedReader) -> bool:
    return stream.peek(2)[:2] == _GZIP


def _found(line: bytes) -> tuple[ReportedCall | Heartbeat, bytes] | None:
    """The record in a line, or at its end: after a log shipper's prefix or an incomplete record, or in an event."""
    end = line[max(line.rfind(_BEGINNING), 0) :].rstrip()
    for found in (line, end, end.removesuffix(b"}")):
        with contextlib.suppress(*_UNREADABLE):
            return decode(found), found
    return None
