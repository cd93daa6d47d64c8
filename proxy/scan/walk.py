"""Examines files and folders that are named on the command line."""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from proxy.scan.ignored import GitError, ignored, repository_of
from proxy.scan.patterns import Finding, find

LARGEST = 5 * 1024 * 1024
"""The largest file that is examined in a folder, in bytes. A file that is named may be larger."""

_ENCODINGS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"", "utf-8-sig"),
)


class Located(NamedTuple):
    """A finding and its file; the path begins as it was named on the command line."""

    file: str
    finding: Finding


class Scan:
    """One pass over files and folders.

    Attributes:
        found: the findings, in the order of the files.
        problems: one sentence for each named path that could not be examined.
        warnings: one sentence for each repository whose ignored files are unknown.
        files, folders: how many were examined.
        left_out: how many entries were left out, by reason. An ignored folder is one entry. Links are not followed:
            the target is examined where it is, or it lies outside.
    """

    def __init__(self) -> None:
        self.found: list[Located] = []
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self.files = self.folders = 0
        self.left_out = dict.fromkeys(("ignored", "binary", "too_large", "unreadable", "links"), 0)
        self._seen: set[Path] = set()
        self._repositories: set[Path] = set()
        self._ignored: set[Path] = set()

    def examine(self, paths: Iterable[str]) -> None:
        """Examine files, and all files in folders."""
        for name in paths:
            try:
                self._named(name)
            except (OSError, ValueError) as error:  # ValueError: the name contains a NUL
                reason = error.strerror if isinstance(error, OSError) else None
                self.problems.append(f"{name}: {reason or error}")

    def _named(self, name: str) -> None:
        path = Path(name)
        if path.is_dir():
            next(path.iterdir(), None)  # an error here is reported as a problem
            self._walk(path)
        elif not (path.is_file() or path.is_fifo()):
            path.stat()  # an error here is reported as a problem
            self.problems.append(f"{name}: is a device or a socket, not a file")
        elif self._is_new(Path(os.path.realpath(path))):
            self._text(name, path.read_bytes())

    def _walk(self, top: Path) -> None:
        # Not recursive: a tree can be deeper than the interpreter's stack.
        real = top.resolve()
        if (repository := repository_of(real)) is not None:
            self._ask_git(repository)
        stack = [(top, real)]
        while stack:
            folder, place = stack.pop()
            if not self._is_new(place):
                continue
            try:
                entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            except OSError:
                self.left_out["unreadable"] += 1
                continue
            self.folders += 1
            if any(entry.name == ".git" for entry in entries):
                self._ask_git(place)
            below = [*self._entries(folder, place, entries)]
            stack += [(path, place / path.name) for path in reversed(below)]

    def _ask_git(self, repository: Path) -> None:
        if repository in self._repositories:
            return
        self._repositories.add(repository)
        try:
            self._ignored |= ignored(repository)
        except GitError as error:
            self.warnings.append(f"{repository}: {error}; files that it ignores are examined, too")

    def _entries(self, folder: Path, place: Path, entries: list[os.DirEntry[str]]) -> Iterator[Path]:
        """Examine the files of a folder, and yield the folders in it."""
        for entry in entries:
            is_folder = entry.is_dir(follow_symlinks=False)
            if entry.name == ".git":
                continue
            if place / entry.name in self._ignored:
                self.left_out["ignored"] += 1
            elif entry.is_symlink():
                self.left_out["links"] += 1
            elif is_folder:
                yield folder / entry.name
            elif entry.is_file(follow_symlinks=False):
                self._file(folder / entry.name, place / entry.name)

    def _file(self, path: Path, place: Path) -> None:
        if place in self._seen:
            return
        try:
            content = _read(path)
        except OSError:
            self.left_out["unreadable"] += 1
            return
        if content is None:
            self.left_out["too_large"] += 1
        elif _is_binary(content):
            self.left_out["binary"] += 1
        elif self._is_new(place):
            self._text(str(path), content)

    def _text(self, name: str, content: bytes) -> None:
        self.files += 1
        self.found += [Located(os.path.normpath(name), finding) for finding in find(decode(content))]

    def _is_new(self, place: Path) -> bool:
        """Whether a file or folder was not examined before; `place` is its real path."""
        if place in self._seen:
            return False
        self._seen.add(place)
        return True


def decode(content: bytes) -> str:
    """Decode a file by its byte order mark, or as UTF-8; invalid bytes are replaced."""
    encoding = next(name for mark, name in _ENCODINGS if content.startswith(mark))
    return content.decode(encoding, "replace")


def _is_binary(content: bytes) -> bool:
    marked = any(content.startswith(mark) for mark, _ in _ENCODINGS if mark)
    return not marked and b"\0" in content


def _read(path: Path) -> bytes | None:
    """Read a file; None if it is too large. It may have become a pipe, or grown, since it was listed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError
        content = file.read(LARGEST + 1)
    return content if len(content) <= LARGEST else None
