"""Appends records to the caller log, and tells the operator what is wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import structlog

from proxy.callers.log.files import STDOUT
from proxy.callers.record import Record
from proxy.output.diagnostics import operator
from proxy.output.sink import AppendedFile, StandardOutput
from proxy.output.writer import Done, Writer

_encode = msgspec.json.Encoder().encode


def _nobody(_written: bool) -> None:
    """Nobody counts."""


class CallerLog:
    """The caller log: an append-only file of JSON lines.

    Args:
        path: of the file; `STDOUT` is standard output.
        count: told of each record whether it was written, from any thread.

    Raises:
        OSError: on construction, where the file cannot be opened for appending.
    """

    def __init__(self, path: str, count: Callable[[bool], None] = _nobody) -> None:
        self._count = count
        sink = StandardOutput() if path == STDOUT else AppendedFile(Path(path))
        self._writer = Writer(sink, self)
        self._log = structlog.wrap_logger(self._writer, processors=[_render], wrapper_class=_Appender).bind()

    def append(self, record: Record, done: Done | None = None) -> None:
        """Write a record, and wait for it unless the disk stalls; nothing is raised.

        One that cannot be written goes to standard error.

        Args:
            record: what to write.
            done: called once it is written or has gone to standard error, from any thread.
        """
        self.put(record, done)
        self.wait()

    def put(self, record: Record, done: Done | None = None) -> None:
        """Take a record that `wait` is called for soon; otherwise as `append`."""
        self._log.put(record, done)

    def wait(self) -> None:
        """Write what was put, and wait for it unless the disk stalls."""
        self._writer.wait()

    def close(self) -> None:
        """Write what still waits, and close the file; what is appended afterwards goes to standard error."""
        self._writer.close()

    def on_written(self, line: bytes, done: Done | None, problem: str | None) -> None:
        """Called once per line, after it was written or failed."""
        if problem is not None:
            operator.error(f"caller log: {problem}; the record: {line.decode().rstrip()}")
        try:
            self._count(problem is None)
            if done is not None:
                done()
        except Exception as fault:  # or nobody would write any more
            operator.error(f"a fault of the proxy itself, after a record: {type(fault).__name__}")

    def on_stall(self) -> None:
        """Called when the disk stalls; from now on records are queued."""
        operator.warning("caller log: it stalls; until it goes on, records are written late")

    def on_recovery(self, late: int) -> None:
        """Called when everything is written."""
        operator.info(f"caller log: it goes on; {late} written late")


class _Appender(structlog.BoundLoggerBase):
    def put(self, record: Record, done: Done | None) -> Any:
        return self._proxy_to_logger("put", record=record, done=done)


def _render(_logger: Any, _method: str, event: structlog.typing.EventDict) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return (_encode(event["record"]) + b"\n", event["done"]), {}
