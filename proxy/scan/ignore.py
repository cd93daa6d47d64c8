"""What git would leave out: ``.gitignore`` files and ``.git/info/exclude``; the only home of pathspec."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

from pathspec import GitIgnoreSpec
from pathspec.pattern import RegexPattern

_DIRECTORY = "ps_d"
"""The group in pathspec's patterns that matches the slash behind a folder."""


class _Rules(NamedTuple):
    """The patterns of one file, and the folder that they are relative to."""

    base: Path
    patterns: tuple[RegexPattern, ...]

    def verdict(self, path: str) -> bool | None:
        """Whether the last pattern that matches an entry ignores it; None where none does."""
        return next((pattern.include for pattern in reversed(self.patterns) if _matches(pattern, path)), None)


class Ignore(NamedTuple):
    """The rules in force in a folder, the nearest first."""

    rules: tuple[_Rules, ...] = ()

    @classmethod
    def above(cls, folder: Path) -> Self:
        """The rules that the folders above give to an absolute folder; none where they ignore the folder itself."""
        if _is_repository(folder):
            return cls()
        ignore = cls()
        for parent in [*_up_to_repository(folder)][::-1]:
            ignore = ignore.within(parent)
        return cls() if ignore.leaves_out(folder, is_folder=True) else ignore

    def within(self, folder: Path) -> Self:
        """The rules in force in a folder below; a repository of its own has only its own."""
        rules = self.rules
        if _is_repository(folder):
            rules = (_read(folder, _git(folder) / "info" / "exclude"),)
        return type(self)((_read(folder, folder / ".gitignore"), *rules))

    def leaves_out(self, path: Path, *, is_folder: bool) -> bool:
        """Whether an entry is ignored; that its folder is not must be known before."""
        for rules in self.rules:
            if rules.patterns:
                relative = path.relative_to(rules.base).as_posix() + ("/" if is_folder else "")
                if (verdict := rules.verdict(relative)) is not None:
                    return verdict
        return False


def _is_repository(folder: Path) -> bool:
    try:
        return (folder / ".git").exists()
    except OSError:  # a folder above may be shut
        return False


def _up_to_repository(folder: Path) -> Iterator[Path]:
    """The folders above, up to the root of the repository; none where there is no repository."""
    parents = list(folder.parents)
    for index, parent in enumerate(parents):
        if _is_repository(parent):
            yield from parents[: index + 1]
            return


def _git(folder: Path) -> Path:
    """Where the repository keeps its files; a linked working tree only names the place (gitrepository-layout)."""
    git = folder / ".git"
    try:
        if git.is_file():
            git = folder / git.read_text("utf-8", "replace").removeprefix("gitdir:").strip()
        return git / (git / "commondir").read_text("utf-8", "replace").strip()
    except (OSError, ValueError):
        return git


def _read(base: Path, file: Path) -> _Rules:
    try:
        lines = file.read_text("utf-8-sig", "surrogateescape").split("\n") if file.is_file() else []
    except OSError:
        lines = []
    return _Rules(base, tuple(pattern for line in lines for pattern in _patterns(line.removesuffix("\r"))))


_MANY_STARS = re.compile(r"(?:\*+[^*/]+){3}\*|(?:\*\*.*){4}")


def _patterns(line: str) -> list[RegexPattern]:
    # As regular expressions such patterns take for ever on a long name, and nobody writes them in good faith.
    if _MANY_STARS.search(line):
        return []
    try:
        patterns = GitIgnoreSpec.from_lines([line]).patterns
    except (ValueError, re.error):  # git passes over a line that it cannot read, too
        return []
    return [pattern for pattern in patterns if pattern.include is not None]


def _matches(pattern: RegexPattern, path: str) -> bool:
    """Whether a pattern matches an entry itself. As pathspec has it, one for a folder matches all below it, too."""
    if pattern.regex is None:
        return False
    if _DIRECTORY not in pattern.regex.groupindex:
        return pattern.regex.search(path.removesuffix("/")) is not None
    ends = [match.end(_DIRECTORY) for match in pattern.regex.finditer(path)]
    return any(end in {-1, len(path)} for end in ends)
