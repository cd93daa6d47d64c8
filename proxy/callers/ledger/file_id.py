"""Tells files of the caller log apart, whatever they are called and however they are compressed."""

import contextlib
import hashlib
import io
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from proxy.callers.log.content import Damaged, chunks, is_plain, opened

_LONGEST_BEGINNING = 4096
"""Bytes of the first line that tell files apart."""

_ENDING = 4096
"""Bytes before a position that tell apart files that begin alike."""


def file_id(path: str, *, grows: bool = False) -> str | None:
    """What a file is known by: a digest of its first line.

    Args:
        path: of the file.
        grows: whether more may be appended.

    Returns:
        None if there is no first line yet.

    Raises:
        NoLog: the file cannot be read.
    """
    begin = b""
    with contextlib.suppress(Damaged), opened(path) as stream:
        for chunk in chunks(stream):
            begin = (begin + chunk).lstrip(b"\r\n")
            if b"\n" in begin or len(begin) > _LONGEST_BEGINNING:
                break
        else:
            if grows:
                return None
    line = begin.partition(b"\n")[0][:_LONGEST_BEGINNING]
    if not line:  # damaged from its begin on
        with open(path, "rb") as file:  # noqa: PTH123 - the log is a string
            line = file.read(_LONGEST_BEGINNING)
    return _digest(line) if line else None


class Mark(msgspec.Struct, frozen=True, order=True, array_like=True):
    """What a file contains just before a position.

    Attributes:
        position: bytes from the beginning of the content.
        lines: up to there.
        size: number of bytes before it that were compared.
        digest: of these bytes.
    """

    position: int
    lines: int
    size: int
    digest: str


class Ending:
    """The last bytes of content that passes through.

    Args:
        position: of its beginning.
    """

    def __init__(self, position: int) -> None:
        self._bytes, self._position = b"", position

    def follow(self, content: Iterable[bytes]) -> Iterator[bytes]:
        """Pass the content through."""
        for chunk in content:
            self._bytes = (self._bytes + chunk)[-_ENDING - len(chunk) :]
            self._position += len(chunk)
            yield chunk

    def before(self, position: int, size: int = _ENDING) -> bytes:
        """At most so many bytes before a position in the last chunk."""
        end = max(0, len(self._bytes) - (self._position - position))
        return self._bytes[max(0, end - size) : end]

    def mark(self, position: int, lines: int) -> Mark:
        """The mark of a position in the last chunk."""
        found = self.before(position)
        return Mark(position, lines, len(found), _digest(found))


def thinned(marks: Iterable[Mark]) -> list[Mark]:
    """A few of the marks: the farther they are from the last one, the fewer."""
    ordered = sorted(marks)
    found: dict[int, Mark] = {}
    for each in ordered:
        found.setdefault((ordered[-1].position - each.position).bit_length(), each)
    return list(found.values())


def last_in_common(path: str, marks: Sequence[Mark]) -> tuple[Mark | None, bool]:
    """The last mark up to which a file has the same content, and whether the file reaches the last of the marks.

    Raises:
        NoLog: the file cannot be read.
    """
    found, is_longer = None, False
    with contextlib.suppress(Damaged), opened(path) as stream:
        pairs = _seek(stream, marks) if is_plain(stream) else _pass_by(chunks(stream), marks)
        for each, content in pairs:
            is_longer = len(content) == each.size and each.position == marks[-1].position
            found = each if _digest(content) == each.digest else found
    return found, is_longer


def _seek(stream: io.BufferedReader, marks: Sequence[Mark]) -> Iterator[tuple[Mark, bytes]]:
    for each in marks:
        stream.seek(each.position - each.size)
        yield each, stream.read(each.size)


def _pass_by(content: Iterable[bytes], marks: Sequence[Mark]) -> Iterator[tuple[Mark, bytes]]:
    waiting, end, ending = deque(marks), 0, Ending(0)
    for chunk in ending.follow(content):
        end += len(chunk)
        while waiting and waiting[0].position <= end:
            each = waiting.popleft()
            yield each, ending.before(each.position, each.size)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
