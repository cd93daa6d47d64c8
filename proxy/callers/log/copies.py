"""Finds logs that repeat others, so that no call is counted twice: by their content, whatever they are called.

A log can be given twice, or beside its own compressed copy, or beside a copy that was made while it grew.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from proxy.callers.log.content import Damaged, chunks, opened
from proxy.callers.log.files import STDIN

_LONGEST_BEGINNING = 4096
"""Bytes of the first line by which logs are compared first."""


class Log(NamedTuple):
    """A log to read.

    Attributes:
        skip: bytes of its content that another log has, too. They end with a line.
    """

    path: str
    skip: int = 0


def without_copies(paths: Iterable[str], warn: Callable[[str], None]) -> list[Log]:
    """The logs to read, in order.

    Args:
        paths: of the logs; ``-`` is standard input.
        warn: is told of each log that repeats another.

    Raises:
        NoLog: a log cannot be opened or read.
    """
    logs: list[str] = []
    groups: dict[bytes, list[str]] = defaultdict(list)
    skips: dict[str, int] = {}
    for path, can_be_reread in _different_files(paths, warn):
        logs.append(path)
        if can_be_reread and (beginning := _beginning(path)):
            groups[beginning].append(path)
        else:
            skips[path] = 0
    for group in groups.values():
        skips |= _without_repeats(group, warn)
    return [Log(path, skips[path]) for path in logs if path in skips]


def _different_files(paths: Iterable[str], warn: Callable[[str], None]) -> Iterator[tuple[str, bool]]:
    """Each file once, by one of its names, and whether it can be read more than once."""
    names: dict[object, str] = {}
    for path in paths:
        file = _file(path)
        if (same := names.get(file or path)) is not None:
            warn(f"{path} and {same} are the same file: it is read once")
            continue
        names[file or path] = path
        yield path, file is not None


def _file(path: str) -> tuple[int, int] | None:
    """What a regular file is known by, whatever leads to it; None for pipes and for what does not exist."""
    if path == STDIN or not Path(path).is_file():
        return None
    found = Path(path).stat()
    return found.st_dev, found.st_ino


def _beginning(path: str) -> bytes:
    """The first line that is not blank; empty if there is none."""
    begin = b""
    with opened(path) as stream:
        for chunk in _intact(chunks(stream)):
            begin = (begin + chunk).lstrip()
            if b"\n" in begin or len(begin) > _LONGEST_BEGINNING:
                break
    return begin.partition(b"\n")[0][:_LONGEST_BEGINNING]


def _without_repeats(group: Sequence[str], warn: Callable[[str], None]) -> dict[str, int]:
    """Those logs of a group that are not part of another, and how many bytes each shares with an earlier one."""
    kept: list[str] = []
    shared: dict[tuple[str, str], int] = {}
    for path in group:
        for other in kept.copy():
            common = _compared(path, other)
            if common.is_all_of_first:
                warn(f"{path} repeats {other}: it is not read")
                break
            if common.is_all_of_second:
                warn(f"{other} repeats {path}: it is not read")
                kept.remove(other)
            shared[path, other] = common.size
        else:
            kept.append(path)
    skips = {path: max([0, *(shared.get((path, other), 0) for other in kept)]) for path in kept}
    for path in filter(skips.get, skips):
        warn(f"{path} begins as another log does: what they share is read once")
    return skips


class _Common(NamedTuple):
    """What two logs have in common at their beginnings.

    Attributes:
        size: bytes of whole lines.
    """

    size: int
    is_all_of_first: bool
    is_all_of_second: bool


def _compared(first: str, second: str) -> _Common:
    with opened(first) as one, opened(second) as two:
        return _common(_intact(chunks(one)), _intact(chunks(two)))


def _common(first: Iterator[bytes], second: Iterator[bytes]) -> _Common:
    size = lines = 0
    one = two = b""
    while True:
        one, two = one or next(first, b""), two or next(second, b"")
        same = _same(one, two)
        lines = size + one.rfind(b"\n", 0, same) + 1 if b"\n" in one[:same] else lines
        size += same
        one, two = one[same:], two[same:]
        if not same or (one and two):
            return _Common(lines, not one, not two)


def _same(one: bytes, two: bytes) -> int:
    """How many bytes are the same at the beginning."""
    length = min(len(one), len(two))
    if one[:length] == two[:length]:
        return length
    return next(index for index in range(length) if one[index] != two[index])


def _intact(content: Iterator[bytes]) -> Iterator[bytes]:
    """The content until it ends, or until damage, and no empty chunks."""
    try:
        yield from filter(None, content)
    except Damaged:
        return
