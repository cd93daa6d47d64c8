"""Where caller logs are."""

import glob
from collections.abc import Iterable
from pathlib import Path

STDOUT = STDIN = "-"


class NoLog(Exception):
    """There is nothing to read; the message is for the operator."""


def log_files(configured: str) -> list[str]:
    """The configured log and its rotated siblings, oldest first.

    Raises:
        NoLog: there is none.
    """
    if configured == STDOUT:
        raise NoLog("callers.log is standard output: name the files, or - to read them from standard input")
    path = Path(configured)
    stem, suffix = glob.escape(path.stem), glob.escape(path.suffix)
    # logrotate's plain way, and with `extension`.
    patterns = (f"{stem}{suffix}*", f"{stem}-*{suffix}*" if suffix else f"{stem}-*")
    found = {file for pattern in patterns for file in path.parent.glob(pattern) if file.is_file()}
    if not found:
        raise NoLog(f"{path}: no log there yet: name the files, or - for standard input")
    return [str(file) for file in sorted(found, key=lambda file: file.stat().st_mtime)]


def size_on_disk(paths: Iterable[str]) -> int:
    """Bytes that the files take, as they lie on the disk; standard input counts for nothing."""
    return sum(Path(path).stat().st_size for path in paths if path != STDIN and Path(path).exists())
