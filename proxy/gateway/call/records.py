"""Writes the records of calls: to the journal while they are forwarded, and to the caller log once they are over."""

import asyncio
import functools
import os
import socket
from collections.abc import Callable
from datetime import datetime
from typing import Literal

from proxy.callers.log import journal
from proxy.callers.log.caller_log import CallerLog
from proxy.callers.log.journal import Journal
from proxy.callers.record import SCHEMA, CallRecord, Heartbeat, bounded
from proxy.config import Config
from proxy.gateway.metrics import Metrics
from proxy.output.diagnostics import log


class Records:
    """Writes records, and counts which were written and which were lost.

    Args:
        config: names the caller log, and says how many calls may be in progress.
        metrics: counts.
        keep: called with each line that was written to the log.

    Attributes:
        instance: the name of this process in records and heartbeats, once it is open.

    Raises:
        OSError: on construction, if the caller log cannot be opened.
    """

    def __init__(self, config: Config, metrics: Metrics, keep: Callable[[bytes], None] | None = None) -> None:
        self.instance = ""
        self._interval = config.callers.heartbeat
        self._told = 0
        self._log = CallerLog(config.callers.log, metrics.logged, keep)
        self._metrics = metrics
        self._path = config.callers.log
        self._prefix = journal.journal_prefix(config.callers.log, str(config.listen))
        self._slots = 2 * config.limits.in_flight
        self._journal: Journal | None = None
        self._waiting: list[asyncio.Future[None]] = []

    def open(self) -> None:
        """Write the records that killed processes have left, and open the journal of this one."""
        self.instance = f"{socket.gethostname()}:{os.getpid()}"
        for record in journal.recover_interrupted(self._prefix, self._path):
            self.append(record)
            self._metrics.count_interrupted(record)
        try:
            self._journal = Journal(self._prefix, self._slots)
        except OSError as error:
            log.warning(
                "journal_unavailable",
                folder=journal.memory_folder(),
                reason=error.strerror,
                message="after a kill -9, calls in progress would have no record",
            )

    @property
    def lost(self) -> int:
        """How many records could not be written."""
        return self._log.lost

    def beat(self, now: datetime, at: Literal["start", "interval", "stop"], key: str, policy: str) -> None:
        """Write a heartbeat, with the number of calls whose records were lost since the last one that was written.

        Args:
            now: the time, UTC.
            at: why it is written.
            key: id of the fingerprint key.
            policy: digest of the policy in force.
        """
        lost = self._log.lost
        record = Heartbeat(SCHEMA, now, at, self._interval, self.instance, key, policy, lost - self._told)
        self._log.append(record, functools.partial(self._tell, lost))

    def _tell(self, lost: int, is_written: bool) -> None:
        if is_written:
            self._told = lost

    def begin(self, record: CallRecord) -> int | None:
        """Store the provisional record of a call that is about to be forwarded.

        Returns:
            The slot in the journal, for `append`.
        """
        return self._journal.begin(record) if self._journal is not None else None

    def append(self, record: CallRecord, slot: int | None = None) -> None:
        """Write a record, and free its slot in the journal."""
        self._queue(record, slot)
        self._log.wait()

    async def append_batched(self, record: CallRecord, slot: int | None = None) -> None:
        """As `append`, but wait only once for all records of one iteration of the event loop."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._write)
        written = loop.create_future()
        self._waiting.append(written)
        self._queue(record, slot)
        await written

    def _queue(self, record: CallRecord, slot: int | None) -> None:
        record = bounded(record)
        if self._journal is None or slot is None:
            self._log.put(record)
        else:
            journal = self._journal
            self._log.put(record, lambda _: journal.end(slot))

    def _write(self) -> None:
        self._log.wait()
        waiting, self._waiting = self._waiting, []
        for written in waiting:
            if not written.done():
                written.set_result(None)

    def close(self) -> None:
        """Close the caller log and the journal."""
        self._log.close()
        if self._journal is not None:
            self._journal.close()
