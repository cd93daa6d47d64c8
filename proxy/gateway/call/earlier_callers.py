"""Who called before a freeze: the ledger says it, or the caller log if there is no ledger."""

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple

from proxy.callers.ledger import counted_file, engines
from proxy.callers.ledger.database import LedgerUnavailable
from proxy.callers.ledger.file_id import file_id
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.log.copies import Log
from proxy.callers.log.files import STDOUT, NoLog, log_files
from proxy.callers.log.lives import key_ids
from proxy.callers.log.reader import Reader
from proxy.callers.report.aggregator import LEDGER_REACH, Aggregator
from proxy.callers.report.succession import Origin
from proxy.config import Config
from proxy.output.diagnostics import log
from proxy.output.formatting import date, day

_PATIENCE = 2.0
"""Seconds to wait for the thread that counts the end of the log, at the start."""

_POLL = 0.05


class NotKnown(Exception):
    """It is not known who called before the freeze. The message says why."""


class _NotYet(NotKnown):
    """It may be known in a moment."""


class EarlierCallers(NamedTuple):
    """The callers from before a freeze.

    Attributes:
        predecessors: whom calls from an origin were made by (`Successions`).
    """

    names: frozenset[str]
    predecessors: Mapping[Origin, str]


class EarlierCallersReader:
    """Reads who called before a freeze, once the freeze has come.

    Args:
        config: the whole configuration.
        freeze: the time of the freeze.
        key: ID of the key of the fingerprints. With another one, callers had other names.
        now: the time, UTC.
    """

    def __init__(self, config: Config, freeze: datetime, key: str, now: Callable[[], datetime]) -> None:
        self._config, self._freeze, self._key, self._now = config, freeze, key, now
        self._log = config.callers.log
        self._end: _End | None = None

    def read(self) -> EarlierCallers:
        """Read it.

        Raises:
            NotKnown: it is not known, and may be later if there is a ledger.
        """
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return self._read()
            except _NotYet:
                if time.monotonic() > deadline:
                    raise
            time.sleep(_POLL)

    def _read(self) -> EarlierCallers:
        aggregator = Aggregator(self._config.callers.known, until=self._freeze, freeze=self._freeze)
        where = self._log if self._config.ledger is None else "the ledger"
        if self._config.ledger is None:
            self._read_log(aggregator)
        else:
            self._read_ledger(aggregator, self._config.ledger)
        if others := key_ids(aggregator.lives, self._freeze) - {self._key}:
            written = " and ".join(sorted(others))
            raise NotKnown(f"{where} was written with the fingerprint key {written}, this one is {self._key}")
        names = aggregator.callers_before_freeze()
        if names is None or aggregator.successions is None:
            raise NotKnown(self._too_young(aggregator.begin))
        return EarlierCallers(names, aggregator.successions.predecessors)

    def _too_young(self, begin: datetime | None) -> str:
        if self._config.ledger is None or begin is None or begin >= self._freeze:
            where = self._log if self._config.ledger is None else "the ledger"
            return f"{where} has no record from before {date(self._freeze)}"
        return (
            f"the ledger begins on {day(begin)}, and must go back {LEDGER_REACH.days} days before the freeze: import"
            f" older logs with 'trigger-shim ledger import', or freeze on {day(begin + LEDGER_REACH)} or later"
        )

    def _read_log(self, aggregator: Aggregator) -> None:
        try:
            aggregator.add(Reader(log_files(self._log), warn=_warn))
        except NoLog as problem:
            raise NotKnown(str(problem)) from None

    def _read_ledger(self, aggregator: Aggregator, address: str) -> None:
        try:
            with contextlib.closing(Ledger(engines.connect(address))) as ledger:
                self._require_counted(ledger)
                with ledger.content() as content:
                    aggregator.add_stored(content)
        except LedgerUnavailable as problem:
            raise _NotYet(f"the ledger cannot be read: {problem}") from None
        self._require_heard(aggregator)

    def _require_counted(self, ledger: Ledger) -> None:
        """Check that the log of this host is counted. Its rotated files are counted before the current one.

        Raises:
            _NotYet: it is not.
            LedgerUnavailable: the ledger cannot be read.
        """
        if self._log == STDOUT:
            return
        if self._end is None:
            self._end = _end_of(self._log)
        if self._end is None:
            return
        found = counted_file.find(ledger, self._end.file, Log(self._log), grows=True)
        if found.position < self._end.size:
            raise _NotYet(f"{self._log} is not counted into the ledger yet")

    def _require_heard(self, aggregator: Aggregator) -> None:
        """Check that all hosts that served at the time of the freeze have been heard of since, or are gone.

        Raises:
            NotKnown: one has not.
        """
        heard = {life.host for life in aggregator.lives if life.seen >= self._freeze}
        for life in aggregator.lives:
            served = life.begin < self._freeze <= life.due and not life.has_stopped
            if served and life.host not in heard and self._now() < life.due:
                raise NotKnown(f"{life.host} may have calls from before it that are not in the ledger yet")


def _warn(text: str) -> None:
    log.warning("caller_log_damaged", message=text)


class _End(NamedTuple):
    file: str
    size: int


def _end_of(path: str) -> _End | None:
    """Where a log ends; None if it is empty."""
    with contextlib.suppress(NoLog, OSError):
        size, file = os.stat(path).st_size, file_id(path, grows=True)  # noqa: PTH116 - the log is a string
        return _End(file, size) if file is not None else None
    return None
