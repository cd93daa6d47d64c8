"""Appends records to the caller log and reports problems on standard error."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import structlog
from structlog.typing import EventDict

from proxy.callers.log.files import STDOUT
from proxy.callers.record import Record, encode
from proxy.output.diagnostics import log
from proxy.output.sink import AppendedFile, StandardOutput
from proxy.output.writer import Done, Writer

_CALL = b'{"event":"deprecated_call"'


def _ignore(_written: bool) -> None:
    """Do nothing."""


def _to_line(_logger: Any, _method: str, event: EventDict) -> bytes:
    return encode(event["event"]) + b"\n"


class CallerLog:
    """The caller log: an append-only file of JSON lines.

    Args:
        path: path of the file; `STDOUT` is standard output.
        count: called once per record, from any thread, with whether the record was written.
        keep: called with each line that was written.

    Attributes:
        lost: number of calls whose records were not written.

    Raises:
        OSError: on construction, if the file cannot be opened for appending.
    """

    def __init__(
        self, path: str, count: Callable[[bool], None] = _ignore, keep: Callable[[bytes], None] | None = None
    ) -> None:
        self._keep = keep
        self.lost = 0
        self._failing = threading.Lock()
        self._unwritten = 0  # since a record was last written
        self._count = count
        sink = StandardOutput() if path == STDOUT else AppendedFile(Path(path))
        self._writer = Writer(sink, self)
        self._log = structlog.wrap_logger(
            structlog.ReturnLogger(),  # the writer takes the line, and with it what to do once it is written
            processors=[_to_line],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        ).bind()

    def append(self, record: Record, done: Done | None = None) -> None:
        """Write a record, and wait for it unless the disk stalls. Never raises.

        A record that cannot be written goes to standard error.

        Args:
            record: the record.
            done: called once, from any thread, with whether the record was written; if not, it is on standard error.
        """
        self.put(record, done)
        self.wait()

    def put(self, record: Record, done: Done | None = None) -> None:
        """Queue a record, as `append` does, but leave the waiting to a later call of `wait`."""
        self._writer.put(self._log.info(record), done)

    def wait(self) -> None:
        """Wait until all queued records are written, unless the disk stalls."""
        self._writer.wait()

    def close(self) -> None:
        """Write all queued records and close the file. Later records go to standard error."""
        self._writer.close()

    def on_written(self, line: bytes, done: Done | None, problem: str | None) -> None:
        """Called by the writer once per line, after it was written or failed."""
        if problem is not None:
            if line.startswith(_CALL):
                with self._failing:
                    self.lost += 1
            self._unwritten += 1
            log.error("record_not_written", reason=problem, record=msgspec.json.decode(line))
        else:
            if self._unwritten:
                log.info("caller_log_written_again", unwritten_records=self._unwritten)
                self._unwritten = 0
            if self._keep is not None:
                self._keep(line)
        try:
            self._count(problem is None)
            if done is not None:
                done(problem is None)
        except Exception as fault:  # an exception here would end the writer's thread
            log.error("internal_error", during="recording a call", exception=type(fault).__name__)

    def on_stall(self) -> None:
        """Called by the writer when the disk stalls, so that calls no longer wait for it."""
        log.warning("caller_log_stalled", message="until the disk recovers, records are written late")

    def on_recovery(self, late: int) -> None:
        """Called by the writer when it has caught up after a stall."""
        log.info("caller_log_recovered", late_records=late)
