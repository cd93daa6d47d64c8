"""Finds the files that can be restored if they are changed: those that git shows as unchanged."""

import hashlib
import os
from pathlib import Path

from proxy.scan.ignored import GitError, git, repository_of

_NO_REPOSITORY = "no repository holds the file, so a change could not be undone: use --force"
_CHANGED = "git shows the file as changed or new: commit it first, or use --force"


class Guard:
    """Tells which files may be changed. It asks git for the state of each repository once."""

    def __init__(self) -> None:
        self._committed: dict[Path, dict[bytes, str]] = {}

    def problem(self, file: str, content: bytes) -> str | None:
        """Why a file must not be changed without ``--force``, if so.

        Args:
            file: its path.
            content: what it holds.
        """
        path = Path(os.path.realpath(file))
        repository = repository_of(path.parent)
        if repository is None:
            return _NO_REPOSITORY
        try:
            known = self._of(repository).get(os.fsencode(path.relative_to(repository)))
        except GitError as error:
            return f"{error}, so it is not known whether the file was changed: use --force"
        # Git itself would run the filters that the repository configures.
        return None if known in {_hash(content, known), _hash(content.replace(b"\r\n", b"\n"), known)} else _CHANGED

    def _of(self, repository: Path) -> dict[bytes, str]:
        """The hash of each file that the index has as the last commit has it, by its path."""
        if repository not in self._committed:
            entries = (entry.split(b"\t", 1) for entry in git(repository, "ls-files", "--stage", "-z"))
            staged = {path: about.split()[1].decode() for about, path in entries if about.endswith(b" 0")}
            for path in _differing(repository):
                staged.pop(path, None)
            self._committed[repository] = staged
        return self._committed[repository]


def _differing(repository: Path) -> list[bytes]:
    """The files that differ between the index and the last commit."""
    command = "diff-index", "--cached", "--name-only", "--no-renames", "--ignore-submodules", "-z", "HEAD", "--"
    return git(repository, *command)


def _hash(content: bytes, like: str | None) -> str:
    """The name that git gives to a content, by the hash that it uses for another one."""
    made = hashlib.sha256 if like and len(like) == 64 else hashlib.sha1
    return made(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
