"""Where records go: into the caller log, and until they do, into the journal."""

import asyncio
import functools

from proxy.callers.log import journal
from proxy.callers.log.caller_log import CallerLog
from proxy.callers.log.journal import Journal
from proxy.callers.record import CallRecord, Record
from proxy.config import Config
from proxy.gateway.metrics import Metrics
from proxy.output.diagnostics import log


class Records:
    """Writes records, and counts how that goes.

    Args:
        config: where the caller log is, and how many calls there may be at once.
        metrics: count.

    Raises:
        OSError: on construction, where the caller log cannot be opened.
    """

    def __init__(self, config: Config, metrics: Metrics) -> None:
        self._log = CallerLog(config.callers.log, metrics.logged)
        self._metrics = metrics
        self._path = config.callers.log
        self._name = journal.journal_prefix(config.callers.log, str(config.listen))
        self._slots = 2 * config.limits.in_flight
        self._journal: Journal | None = None
        self._waiting: list[asyncio.Future[None]] = []

    def open(self) -> None:
        """Write the records that killed processes have left behind, and be ready for those of this one."""
        for record in journal.recover_interrupted(self._name, self._path):
            self.append(record)
            self._metrics.count_interrupted(record)
        try:
            self._journal = Journal(self._name, self._slots)
        except OSError as error:
            log.warning(
                "journal_unavailable",
                folder=journal.memory_folder(),
                reason=error.strerror,
                message="after a kill -9, calls in progress would have no record",
            )

    def begin(self, record: CallRecord) -> int | None:
        """A call is about to be forwarded: this is its record if nothing better comes.

        Returns:
            The intent to `append` its own record with.
        """
        return self._journal.begin(record) if self._journal is not None else None

    def append(self, record: Record, intent: int | None = None) -> None:
        """Write a record, after which its intent is over."""
        self._put(record, intent)
        self._log.wait()

    async def written(self, record: Record, intent: int | None = None) -> None:
        """Write a record with those of all calls that end in the same turn of the loop: one wait does for them."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._write)
        turn = loop.create_future()
        self._waiting.append(turn)
        self._put(record, intent)
        await turn

    def _put(self, record: Record, intent: int | None) -> None:
        if self._journal is None or intent is None:
            self._log.put(record)
        else:
            self._log.put(record, functools.partial(self._journal.end, intent))

    def _write(self) -> None:
        self._log.wait()
        waiting, self._waiting = self._waiting, []
        for turn in waiting:
            if not turn.done():
                turn.set_result(None)

    def close(self) -> None:
        """Close the caller log and the journal."""
        self._log.close()
        if self._journal is not None:
            self._journal.close()
