"""Appends records to the caller log."""

import contextlib
import os
import secrets
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import structlog

from proxy.callers.record import Record
from proxy.errors import PROXY

STDOUT = "-"
_LOG_MODE = 0o640
_KEY_BYTES = 32


class _Lines:
    """Whole lines to a descriptor, one ``write`` each."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._torn = False

    def append(self, line: bytes) -> None:
        """Write one line.

        Raises:
            OSError: it was not written whole.
        """
        if self._torn:  # the disk was full in the middle of a line: do not glue this one to the fragment
            line = b"\n" + line
        written = os.write(self._descriptor, line)
        self._torn = written < len(line)
        if self._torn:
            raise OSError(f"{written} of {len(line)} bytes written")


class StandardOutput(_Lines):
    """The caller log of a container: lines to standard output, which somebody else keeps."""

    def __init__(self) -> None:
        super().__init__(1)

    def close(self) -> None:
        """Leave standard output open."""


class AppendedFile(_Lines):
    """A file that grows by lines, and may be renamed away at any time.

    Raises:
        OSError: on construction, where the file cannot be opened for appending.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(-1)
        self._path = path
        self._identity: tuple[int, int] | None = None
        self._open()
        size = os.fstat(self._descriptor).st_size
        self._torn = size > 0 and os.pread(self._descriptor, 1, size - 1) != b"\n"

    def append(self, line: bytes) -> None:
        """Write one line, to a new file where the last one was renamed away.

        Raises:
            OSError: it was not written whole.
        """
        self._follow_rotation()
        super().append(line)

    def close(self) -> None:
        """Close the descriptor; what is appended afterwards is refused."""
        os.close(self._descriptor)
        self._descriptor = -1  # the number is soon another file's

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _LOG_MODE)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        status = os.fstat(descriptor)
        self._descriptor = descriptor
        self._identity = (status.st_dev, status.st_ino)
        self._torn = False

    def _follow_rotation(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            status = os.stat(self._path)  # noqa: PTH116 - half the time of Path.stat, on every call
            if (status.st_dev, status.st_ino) == self._identity:
                return
        self._open()


class CallerLog:
    """The caller log: an append-only file of JSON lines.

    Attributes:
        failures: how many records could not be written.

    Raises:
        OSError: on construction, where the file cannot be opened for appending.
    """

    def __init__(self, path: str) -> None:
        self.failures = 0
        self._sink = StandardOutput() if path == STDOUT else AppendedFile(Path(path))
        self._log = structlog.wrap_logger(self._sink, processors=[_render], wrapper_class=_Appender).bind()

    def append(self, record: Record) -> bool:
        """Write a record. One that cannot be written goes to standard error and is counted; nothing is raised.

        Returns:
            Whether it was written.
        """
        try:
            self._log.append(record)
        except OSError as error:
            self.failures += 1
            reason = error.strerror or error
            operator.error(f"caller log: {reason}; the record: {msgspec.json.encode(record).decode()}")
            return False
        return True

    def close(self) -> None:
        """Close the file."""
        self._sink.close()


class _Appender(structlog.BoundLoggerBase):
    def append(self, record: Record) -> Any:
        return self._proxy_to_logger("append", record=record)


def _render(_logger: Any, _method: str, event: structlog.typing.EventDict) -> bytes:
    return msgspec.json.encode(event["record"]) + b"\n"


def fingerprint_key(configured: str | None, log: str) -> bytes:
    """The key of the token fingerprints: the configured one, or one made once and kept beside the log.

    Raises:
        OSError: the kept key can be neither read nor made.
    """
    if configured is not None:
        return configured.encode()
    if log == STDOUT:
        operator.warning("callers.fingerprint_key is not set: fingerprints of tokens will change with every start")
        return secrets.token_bytes(_KEY_BYTES)
    path = Path(log).with_suffix(".key")
    path.parent.mkdir(parents=True, exist_ok=True)
    _make_key(path)
    return path.read_bytes().strip()


def _make_key(path: Path) -> None:
    # Written whole under another name first: workers that start together must all read the same key.
    if path.exists():
        return
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f"{path.name}.") as draft:  # mode 600
        draft.write(secrets.token_hex(_KEY_BYTES).encode() + b"\n")
        draft.flush()
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft.name)


def _line(_logger: Any, method: str, event: structlog.typing.EventDict) -> str:
    level = "" if method == "info" else f"{method}: "
    return f"{PROXY}: {level}{event['event']}"


class _StandardError:
    """Looks standard error up anew for each line, since tests and supervisors replace it."""

    def _write(self, line: str) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):  # full, closed, or never there
            sys.stderr.write(line + "\n")
            sys.stderr.flush()

    info = warning = error = _write


operator: Any = structlog.wrap_logger(_StandardError(), processors=[_line], wrapper_class=structlog.BoundLogger)
"""What the operator should know, a line each on standard error."""
