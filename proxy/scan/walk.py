"""Finds the files to examine: those that are named on the command line, and all in the folders that are."""

import fnmatch
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from proxy.scan.files import File, LeftOut
from proxy.scan.ignored import GitError, ignored, repository_of


class Walk:
    """One pass over files and folders.

    Attributes:
        problems: one sentence for each named path that could not be examined.
        warnings: one sentence for each repository whose ignored files are unknown.
        folders: how many were listed.
        left_out: how many entries were left out, by reason. An ignored or excluded folder is one entry. Links are not
            followed: the target is examined where it is, or it lies outside.

    Args:
        exclude: patterns of files and folders to leave out.
        own: files of the scan itself, which is silent about them.
    """

    def __init__(self, exclude: Sequence[str] = (), own: Iterable[str] = ()) -> None:
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self.folders = 0
        self.left_out: dict[str, int] = dict.fromkeys(LeftOut, 0)
        self._is_excluded = _excluder(exclude)
        self._seen = set(map(os.path.realpath, own))
        self._repositories: set[str] = set()
        self._ignored: set[str] = set()

    def files(self, names: Iterable[str]) -> list[File]:
        """The files that these names lead to, each once."""
        names = list(names)
        found: list[list[File]] = [[] for _ in names]
        # Those that are named come first, as they are examined whatever they are.
        for is_folder in (False, True):
            for number, name in enumerate(names):
                if os.path.isdir(name.partition("\0")[0]) is is_folder:  # noqa: PTH112 - never raises
                    found[number] = [*self._named(name)]
        return [file for files in found for file in files]

    def _named(self, name: str) -> Iterator[File]:
        path = Path(name)
        try:
            if path.is_dir():
                next(path.iterdir(), None)  # an error here is reported as a problem
                yield from self._walk(name)
            elif not (path.is_file() or path.is_fifo()):
                path.stat()  # an error here is reported as a problem
                self.problems.append(f"{name}: is a device or a socket, not a file")
            elif self._is_excluded(os.path.normpath(name)):
                self.left_out[LeftOut.EXCLUDED] += 1
            elif self._is_new(os.path.realpath(path)):
                yield File(name, is_named=True)
        except (OSError, ValueError) as error:  # ValueError: the name contains a NUL
            reason = error.strerror if isinstance(error, OSError) else None
            self.problems.append(f"{name}: {reason or error}")

    def _walk(self, top: str) -> Iterator[File]:
        # Not recursive: a tree can be deeper than the interpreter's stack.
        real = Path(top).resolve()
        if (repository := repository_of(real)) is not None:
            self._ask_git(str(repository))
        top = os.path.normpath(top)
        stack = [(top, str(real))]
        while stack:
            folder, place = stack.pop()
            if not self._is_new(place):
                continue
            try:
                entries = sorted(os.scandir(folder), key=_name)
            except OSError:
                self.left_out[LeftOut.UNREADABLE] += 1
                continue
            self.folders += 1
            if any(entry.name == ".git" for entry in entries):
                self._ask_git(place)
            below: list[tuple[str, str]] = []
            yield from self._entries(folder, place, entries, below, len(_prefix(top)))
            stack += reversed(below)

    def _ask_git(self, repository: str) -> None:
        if repository in self._repositories:
            return
        self._repositories.add(repository)
        try:
            self._ignored |= set(map(str, ignored(Path(repository))))
        except GitError as error:
            self.warnings.append(f"{repository}: {error}; files that it ignores are examined, too")

    def _entries(
        self, folder: str, place: str, entries: list[os.DirEntry[str]], below: list[tuple[str, str]], top: int
    ) -> Iterator[File]:
        """The files of a folder; the folders in it are added to `below`. Behind `top` characters a path is relative."""
        shown, real = _prefix(folder), _prefix(place)
        for entry in entries:
            if entry.name == ".git":
                continue
            path, target = shown + entry.name, real + entry.name
            if target in self._ignored:
                self.left_out[LeftOut.IGNORED] += 1
            elif self._is_excluded(path, path[top:]):
                self.left_out[LeftOut.EXCLUDED] += 1
            elif entry.is_symlink():
                self.left_out[LeftOut.LINKS] += 1
            elif entry.is_dir(follow_symlinks=False):
                below.append((path, target))
            elif entry.is_file(follow_symlinks=False) and self._is_new(target):
                yield File(path)

    def _is_new(self, place: str) -> bool:
        """Whether a file or folder did not come before; `place` is its real path."""
        if place in self._seen:
            return False
        self._seen.add(place)
        return True


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _prefix(folder: str) -> str:
    """What comes before the names in a folder."""
    return "" if folder == "." else folder if folder.endswith("/") else f"{folder}/"


def _excluder(patterns: Sequence[str]) -> Callable[..., bool]:
    """Make a function that tells whether a file is excluded, of which it gets one path or several.

    A pattern without a slash is that of a name, in any folder. One with a slash is that of a path, as it is shown, or
    relative to the folder that is named.
    """
    names = [pattern.rstrip("/") for pattern in patterns if "/" not in pattern.rstrip("/")]
    paths = [os.path.normpath(pattern) for pattern in patterns if "/" in pattern.rstrip("/")]

    def is_excluded(*spellings: str) -> bool:
        name = spellings[0].rpartition("/")[2]
        return any(fnmatch.fnmatchcase(name, each) for each in names) or any(
            fnmatch.fnmatchcase(path, each) for path in spellings for each in paths
        )

    return is_excluded if patterns else lambda *_: False
