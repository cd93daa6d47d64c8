"""Reads the records in caller logs: from plain files, compressed files and standard input."""

import contextlib
import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, cast

import msgspec

from proxy.callers.log.files import STDIN, NoLog
from proxy.callers.record import Heartbeat, ReportedCall

_CHUNK = 128 << 10
_GZIP = b"\x1f\x8b"
_BEGINNING = b'{"event":'
"""The beginning of every record that the proxy writes. In a string inside a record, the quotes would be escaped."""

Progress = Callable[[int], None]
Batch = tuple[list[ReportedCall | Heartbeat], list[bytes]]
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_decode = msgspec.json.Decoder(ReportedCall | Heartbeat).decode


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
            records = [_decode(line) for line in lines]
        except _UNREADABLE:
            found = [pair for line in lines if (pair := _found(line)) is not None]
            self.skipped += sum(not line.isspace() for line in lines) - len(found)
            records, lines = [record for record, _ in found], [line for _, line in found]
        self.read += len(records)
        return records, lines

    def _lines(self, path: str, stream: io.BufferedReader) -> Iterator[list[bytes]]:
        content = cast("BinaryIO", gzip.GzipFile(fileobj=stream)) if _is_compressed(stream) else stream
        position = 0
        try:
            while lines := content.readlines(_CHUNK):
                yield lines
                before, position = position, stream.tell() if stream.seekable() else 0
                self._progress(position - before)
        except (EOFError, gzip.BadGzipFile, zlib.error):
            from proxy.output.diagnostics import log  # noqa: PLC0415 - slow to import

            log.warning("compressed_log_broken", path=path, message="only the records before the damage were read")


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
            return _decode(found), found
    return None
