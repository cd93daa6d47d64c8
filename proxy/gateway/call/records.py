"""Writes the records of calls: to the journal while they are forwarded, and to the caller log once they are over."""

import asyncio
import functools

from proxy.callers.log import journal
from proxy.callers.log.caller_log import CallerLog
from proxy.callers.log.journal import Journal
from proxy.callers.record import CallRecord, Record, bounded
from proxy.config import Config
from proxy.gateway.metrics import Metrics
from proxy.output.diagnostics import log


class Records:
    """Writes records, and counts which were written and which were lost.

    Args:
        config: names the caller log, and says how many calls may be in progress.
        metrics: counts.

    Raises:
        OSError: on construction, if the caller log cannot be opened.
    """

    def __init__(self, config: Config, metrics: Metrics) -> None:
        self._log = CallerLog(config.callers.log, metrics.logged)
        self._metrics = metrics
        self._path = config.callers.log
        self._prefix = journal.journal_prefix(config.callers.log, str(config.listen))
        self._slots = 2 * config.limits.in_flight
        self._journal: Journal | None = None
        self._waiting: list[asyncio.Future[None]] = []

    def open(self) -> None:
        """Write the records that killed processes have left, and open the journal of this one."""
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

    def begin(self, record: CallRecord) -> int | None:
        """Store the provisional record of a call that is about to be forwarded.

        Returns:
            The slot in the journal, for `append`.
        """
        return self._journal.begin(record) if self._journal is not None else None

    def append(self, record: Record, slot: int | None = None) -> None:
        """Write a record, and free its slot in the journal."""
        self._queue(record, slot)
        self._log.wait()

    async def append_batched(self, record: Record, slot: int | None = None) -> None:
        """As `append`, but wait only once for all records of one iteration of the event loop."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._write)
        written = loop.create_future()
        self._waiting.append(written)
        self._queue(record, slot)
        await written

    def _queue(self, record: Record, slot: int | None) -> None:
        record = bounded(record)
        if self._journal is None or slot is None:
            self._log.put(record)
        else:
            self._log.put(record, functools.partial(self._journal.end, slot))

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
