"""Listening on Unix sockets."""

import errno
import os
import socket
import stat
from pathlib import Path
from typing import NamedTuple

MODE = 0o660
"""The owner and the group of a socket may connect."""


class SocketFile(NamedTuple):
    """The file of a Unix socket.

    Attributes:
        inode: its number and the time at which it was created, in ns: numbers are used again.
    """

    path: Path
    inode: tuple[int, int]

    @classmethod
    def of(cls, bound: socket.socket) -> "SocketFile | None":
        """The file of a listening socket; None if that is no Unix socket.

        Raises:
            OSError: it is gone already.
        """
        if bound.family != socket.AF_UNIX:
            return None
        path = Path(bound.getsockname())
        return cls(path, _inode(path))

    def remove(self) -> None:
        """Remove the file, unless another process has put its own there."""
        try:
            if _inode(self.path) == self.inode:
                self.path.unlink()
        except OSError:  # it is gone, or the folder is not ours any more
            return


def bind(path: str, backlog: int) -> socket.socket:
    """Listen on a Unix socket. What a process that was killed has left there is removed.

    Raises:
        OSError: it cannot be created, somebody listens on it, or something else has this name.
    """
    _remove_stale(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(path)
        os.chmod(path, MODE)  # noqa: PTH101 - nobody can connect before it listens
        bound.listen(backlog)
    except OSError:
        bound.close()
        raise
    return bound


def _remove_stale(path: str) -> None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise OSError(errno.EEXIST, "is not a socket; remove it, or choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)  # noqa: PTH108 - as lstat
        except BlockingIOError:  # so many wait that no more can
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE)) from None
        else:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _inode(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_ino, found.st_mtime_ns
