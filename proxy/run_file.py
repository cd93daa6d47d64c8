"""The file by which `trigger-shim reload` finds the running proxy, and learns what became of a reload.

It is in shared memory, is locked for as long as the proxy runs, and names the process and its last reload.
"""

import contextlib
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from proxy.callers.log.journal import memory_folder


class Run(msgspec.Struct):
    """A proxy that runs.

    Attributes:
        pid: of its main process.
        reloads: how many there were since its start.
        problems: why the last one was refused.
        restart_needed: keys that have changed in the file, and whose values take effect at the next start.
    """

    pid: int
    reloads: int = 0
    problems: list[str] = []
    restart_needed: list[str] = []


class RunFile:
    """The file of this process, until `close`.

    Args:
        config: path of the configuration file.

    Raises:
        OSError: it cannot be created.
    """

    def __init__(self, config: str) -> None:
        self._run = Run(os.getpid())
        self._path = Path(memory_folder(), f"{_prefix(config)}{os.getpid()}")
        self._path.unlink(missing_ok=True)  # of a process that had the same ID, and was killed
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._write()

    def reloaded(self, problems: list[str], restart_needed: list[str]) -> None:
        """Note what became of a reload."""
        self._run = Run(self._run.pid, self._run.reloads + 1, problems, restart_needed)
        self._write()

    def close(self) -> None:
        """Remove the file."""
        self._path.unlink(missing_ok=True)
        os.close(self._file)

    def _write(self) -> None:
        content = msgspec.json.encode(self._run)
        os.pwrite(self._file, content, 0)
        os.ftruncate(self._file, len(content))


def runs(config: str) -> list[Run]:
    """The proxies that run with a configuration file. Those of other users are seen by root only."""
    found = []
    for path in Path(memory_folder()).glob(f"{_prefix(config)}*"):
        with contextlib.suppress(OSError), _opened(path) as file:
            if (run := _read(file)) is not None:
                found.append(run)
    return found


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield file
    finally:
        os.close(file)


def _read(file: int) -> Run | None:
    """The proxy that has written a file; None if it has ended, or if somebody else may have written it."""
    while True:
        try:
            run = msgspec.json.decode(os.pread(file, 1 << 20, 0), type=Run)
            break
        except msgspec.DecodeError:  # it is written at this moment
            if _is_unlocked(file):
                return None
    found, process = os.fstat(file), os.stat(f"/proc/{run.pid}")  # noqa: PTH116 - as fstat
    # Anybody may put files there: whoever runs the command must not send a signal to any process that a file names.
    is_its_own = stat.S_ISREG(found.st_mode) and found.st_uid == process.st_uid
    return run if is_its_own and not _is_unlocked(file) else None


def _is_unlocked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(file, fcntl.LOCK_UN)
    return True


def _prefix(config: str) -> str:
    return f"trigger-shim-run-{hashlib.sha256(os.fsencode(Path(config).resolve())).hexdigest()[:16]}-"
