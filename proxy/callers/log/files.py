"""Finds the files of the caller log."""

import glob
from collections.abc import Iterable
from pathlib import Path

STDOUT = STDIN = "-"


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
        raise NoLog(f"{path}: there is no log yet: name the files, or - for standard input")
    return [str(file) for file in sorted(found, key=lambda file: file.stat().st_mtime)]


def is_stream(path: str) -> bool:
    """Whether a log cannot be read again, such as a pipe or ``/dev/stdout``."""
    return path.startswith("/dev/") or (Path(path).exists() and not Path(path).is_file())


def size_on_disk(paths: Iterable[str]) -> int:
    """Total size of the files in bytes. Standard input counts as zero."""
    return sum(Path(path).stat().st_size for path in paths if path != STDIN and Path(path).exists())
