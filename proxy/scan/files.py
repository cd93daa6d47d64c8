"""Reads files, in several processes if there are many."""

import enum
import os
import signal
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

from proxy.scan.patterns import find, may_have_findings
from proxy.scan.suppressions import Sifted, sift

LARGEST = 5 * 1024 * 1024
"""The largest file that is examined in a folder, in bytes. A file that is named may be larger."""

FEW = 2000
"""So many files are read sooner than processes start."""
_BATCH = 250

_ENCODINGS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"", "utf-8-sig"),
)


class File(NamedTuple):
    """A file to examine.

    Attributes:
        path: as the command line leads to it.
        is_named: whether it stands on the command line itself; then it is read whatever it is.
    """

    path: str
    is_named: bool = False


class LeftOut(enum.StrEnum):
    """Why something is not examined. The values are keys of the JSON output."""

    IGNORED = "ignored"
    EXCLUDED = "excluded"
    BINARY = "binary"
    TOO_LARGE = "too_large"
    UNREADABLE = "unreadable"
    LINKS = "links"


Examined = Sifted | LeftOut | str
"""What became of a file: its findings, why it was left out, or for a named one the problem."""


def examine_all(files: Sequence[File], advance: Callable[[int], None]) -> Iterator[Examined]:
    """Examine files, and say how many are done."""
    batches = [files[at : at + _BATCH] for at in range(0, len(files), _BATCH)]
    if len(files) < FEW or (workers := _processors()) < 2:
        yield from _told(map(_examine_batch, batches), advance)
        return
    with ProcessPoolExecutor(workers, initializer=_ignore_interrupts) as pool:
        try:
            yield from _told(pool.map(_examine_batch, batches), advance)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _told(batches: Iterator[list[Examined]], advance: Callable[[int], None]) -> Iterator[Examined]:
    for batch in batches:
        yield from batch
        advance(len(batch))


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _ignore_interrupts() -> None:
    """Leave Ctrl-C to the first process, which ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _examine_batch(files: Sequence[File]) -> list[Examined]:
    return [examine(file) for file in files]


def examine(file: File) -> Examined:
    """Examine one file."""
    try:
        content = Path(file.path).read_bytes() if file.is_named else _read(file.path)
    except (OSError, ValueError) as error:  # ValueError: the name contains a NUL
        return _problem(file.path, error) if file.is_named else LeftOut.UNREADABLE
    if content is None:
        return LeftOut.TOO_LARGE
    is_marked = content[:2] in {b"\xff\xfe", b"\xfe\xff"} or content[:4] == b"\x00\x00\xfe\xff"
    if not is_marked and not file.is_named and b"\0" in content:
        return LeftOut.BINARY
    if not is_marked and not may_have_findings(content):
        return Sifted([])
    text = decode(content)
    return sift(text, find(text))


def _problem(path: str, error: OSError | ValueError) -> str:
    reason = error.strerror if isinstance(error, OSError) else None
    return f"{path}: {reason or error}"


def decode(content: bytes) -> str:
    """Decode a file by its byte order mark, or as UTF-8; invalid bytes are replaced."""
    encoding = next(name for mark, name in _ENCODINGS if content.startswith(mark))
    return content.decode(encoding, "replace")


def _read(path: str) -> bytes | None:
    """Read a file; None if it is too large. It may have become a pipe, or grown, since it was listed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError
        if status.st_size > LARGEST:
            return None
        content = os.read(descriptor, LARGEST + 1)
        while len(content) <= LARGEST and (more := os.read(descriptor, LARGEST + 1 - len(content))):
            content += more
    finally:
        os.close(descriptor)
    return content if len(content) <= LARGEST else None
