"""Finds the files of the caller log."""

import glob
import os
from collections.abc import Iterable
from pathlib import Path

STDOUT = STDIN = "-"

_CLOSED = "this user may not read its folder: become a member of the group of the log"


class NoLog(Exception):
    """There is no log to read. The message says why and is shown to the user."""


def log_files(configured: str) -> list[str]:
    """The configured log and its rotated files, oldest first.

    Raises:
        NoLog: there are none, or the log is standard output.
    """
    if configured == STDOUT:
        raise NoLog("callers.log is standard output: name the files, or - to read them from standard input")
    path = Path(configured)
    stem, suffix = glob.escape(path.stem), glob.escape(path.suffix)
    # The two ways in which logrotate names files: plainly, and with its option `extension`.
    patterns = (f"{stem}{suffix}*", f"{stem}-*{suffix}*" if suffix else f"{stem}-*")
    found = {file for pattern in patterns for file in path.parent.glob(pattern) if file.is_file()}
    if not found:
        is_open = not path.parent.is_dir() or os.access(path.parent, os.R_OK | os.X_OK, effective_ids=True)
        reason = "there is no log yet: name the files, or - for standard input" if is_open else _CLOSED
        raise NoLog(f"{path}: {reason}")
    return [str(file) for file in sorted(found, key=lambda file: file.stat().st_mtime)]


def is_stream(path: str) -> bool:
    """Whether a log cannot be read again, such as a pipe or ``/dev/stdout``."""
    try:
        return path.startswith("/dev/") or (Path(path).exists() and not Path(path).is_file())
    except PermissionError:
        return False


def may_exist(path: str) -> bool:
    """Whether there is a file, or its folder is closed to this user."""
    try:
        return Path(path).exists()
    except PermissionError:
        return True


def size_on_disk(paths: Iterable[str]) -> int:
    """Total size of the files in bytes. Standard input counts as zero."""
    return sum(Path(path).stat().st_size for path in paths if path != STDIN and Path(path).exists())
