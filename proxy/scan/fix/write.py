"""Replaces files, whole or not at all."""

import contextlib
import os
import stat
import tempfile
from pathlib import Path


class NotWritten(Exception):
    """A file was left as it was; the message says why."""


def replace(file: str, old: bytes, new: bytes) -> None:
    """Replace what a file holds. Its mode stays.

    Args:
        file: its path.
        old: what it must still hold.
        new: what it is to hold.

    Raises:
        NotWritten: it cannot be replaced.
    """
    path = Path(file)
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            raise NotWritten("it is a link, or not a regular file")
        if status.st_nlink > 1:
            raise NotWritten("it has another name, a hard link, which would keep the old text")
        if path.read_bytes() != old:
            raise NotWritten("the file has changed since it was read")
        _replace(path, new, stat.S_IMODE(status.st_mode))
    except OSError as error:
        raise NotWritten(f"it cannot be written: {error.strerror}") from None


def _replace(path: Path, content: bytes, mode: int) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:50]}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
