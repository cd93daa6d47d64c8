"""Asks git which files of a repository it ignores."""

import os
import shutil
import subprocess
from pathlib import Path

TIMEOUT = 30.0
"""Seconds that git may take; some patterns take it for ever."""

_LONGEST_PATH = 4096
_READ_BY_GIT = "HEAD", "commondir", "config", "config.worktree", "gitdir", "index", "info/exclude"

_LIST = "ls-files --others --ignored --exclude-standard --directory -z".split()

# A hook that runs the scan sets these; the scan looks at other repositories, too.
_OF_ONE_REPOSITORY = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"}


class GitError(Exception):
    """Git did not answer; the message says why."""


def repository_of(folder: Path) -> Path | None:
    """The folder, or the nearest one above it, that holds a repository."""
    # os.path.exists is False where a folder above may not be searched; Path.exists raises.
    return next((each for each in (folder, *folder.parents) if os.path.exists(each / ".git")), None)  # noqa: PTH110


def ignored(repository: Path) -> set[Path]:
    """The files and folders of a repository that git ignores; an ignored folder stands for everything in it.

    Tracked files are never ignored (gitignore(5)).

    Raises:
        GitError: git is missing, refuses the repository, or takes too long, or is not asked.
    """
    return {repository / os.fsdecode(name) for name in git(repository, *_LIST)}


def git(repository: Path, *arguments: str) -> list[bytes]:
    """What git lists of a repository with ``-z``. Nothing that the repository configures is run.

    Raises:
        GitError: git is missing, refuses the repository, or takes too long, or is not asked.
    """
    program = shutil.which("git")
    if program is None:
        raise GitError("git is not installed")
    _check_files(repository)
    try:
        done = subprocess.run(  # noqa: S603 - the arguments are fixed, but for an absolute path
            [program, "-C", repository, "-c", "core.fsmonitor=false", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT,
            check=True,
            env=_environment(),
        )
    except subprocess.TimeoutExpired:
        raise GitError(f"git takes longer than {TIMEOUT:g} s") from None
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").partition("\n")[0]
        raise GitError(f"git says: {reason or f'exit status {error.returncode}'}") from None
    except OSError as error:
        raise GitError(f"git does not start: {error.strerror}") from None
    return [name for name in done.stdout.split(b"\0") if name]


def _check_files(repository: Path) -> None:
    """Check that git would not wait for a pipe, or read a device without end, that poses as one of its files."""
    folder = repository / ".git"
    if not folder.is_dir():
        folder = repository / _named_in(folder, "gitdir: ")
    folders = [folder]
    if (commondir := folder / "commondir").exists():  # a linked working tree
        folders.append(folder / _named_in(commondir))
    for path in (repository / ".gitignore", *(each / name for each in folders for name in _READ_BY_GIT)):
        if path.exists() and not path.is_file():
            raise _not_regular(path)


def _named_in(path: Path, prefix: str = "") -> str:
    """The folder that one of git's files names."""
    if not path.is_file():
        raise _not_regular(path)
    with path.open("rb") as file:
        return os.fsdecode(file.read(_LONGEST_PATH)).removeprefix(prefix).partition("\n")[0]


def _not_regular(path: Path) -> GitError:
    return GitError(f"git is not asked, because {path} is not a regular file")


def _environment() -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name not in _OF_ONE_REPOSITORY}
    # A partial clone may name a command that fetches what is missing: allow no way to fetch.
    return {**environment, "GIT_ALLOW_PROTOCOL": "none", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
