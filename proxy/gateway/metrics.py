"""Metrics for Prometheus. Labels never come from request data, so a caller cannot create series."""

import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client import values as library
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from proxy import __version__
from proxy.callers.identity import policy_subject
from proxy.callers.ledger.keeper import State
from proxy.callers.log.journal import memory_folder
from proxy.callers.record import CallRecord
from proxy.callers.report.policy_effect import refusal_dates
from proxy.config import Config
from proxy.errors import Limit, Outcome
from proxy.withdrawn.endpoints import ENDPOINTS
from proxy.withdrawn.lifecycle import PolicySubject

NO_ENDPOINT = "pass_through"
"""The endpoint of calls that are passed through."""

OTHER = "other"
"""The caller of calls that match none of `callers.known`."""

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable that names the folder of files in which several processes count."""

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Upper bounds of a duration, in seconds."""

SUPERVISOR = "supervisor"
"""Takes the place of a slot in the names of the supervisor's files."""

NAMESPACE = "trigger_shim"

Kind = Literal["withdrawn", "pass_through"]

ConnectionKind = Literal["run_starting", "other"]
"""What a connection to the service is for: calls that start runs, or all others."""

CertificateKey = Literal["listen", "upstream", "upstream.certificate"]
"""The key of the configuration that a certificate belongs to."""

# Prometheus misses the first increase of a series that did not exist before, so these exist from the start.
_EXPECTED: tuple[tuple[Outcome, int], ...] = (
    ("forwarded", 2),
    ("redelivered", 2),
    ("upstream_error", 2),
    ("upstream_error", 4),
    ("upstream_error", 5),
    ("unreachable", 5),
    ("timeout", 5),
    ("rejected", 4),
    ("gone", 4),
    ("brownout", 4),
    ("overloaded", 5),
    ("interrupted", 5),
)

disable_created_metrics()  # type: ignore[no-untyped-call]  # they would double the number of series


class Metrics:
    """Counts, and returns what was counted.

    Args:
        config: has the names of callers and the dates of the withdrawal.
        slot: a worker's number, where several workers count in the folder that `FOLDER` names. A worker that replaces
            another continues its counts. None if there is only one process.

    Attributes:
        reloads: the metrics of reloads; unused in a worker, whose supervisor has its own.
    """

    def __init__(self, config: Config, slot: int | None = None) -> None:
        self._registry = CollectorRegistry()
        self._facts = _Facts(config, supervisor=None if slot is None else os.getppid())
        self._registry.register(self._facts)
        if slot is not None:
            self._registry.register(_Shared(Path(os.environ[FOLDER])))
        own = self._registry if slot is None else None
        _count_as(slot)
        counter = partial(Counter, namespace=NAMESPACE, registry=own)
        gauge = partial(Gauge, namespace=NAMESPACE, registry=own, multiprocess_mode="livesum")
        histogram = partial(Histogram, labelnames=["endpoint"], namespace=NAMESPACE, registry=own, buckets=BUCKETS)
        self._calls = counter("calls", "Calls that have ended.", ["endpoint", "outcome", "status"])
        self._by_caller = counter("caller_calls", "Calls of withdrawn endpoints that have ended.", ["caller"])
        durations = histogram("call_duration_seconds", "From the head of a call until its answer was ready.")
        exchanges = histogram("upstream_duration_seconds", "The exchange with the service.")
        in_flight = gauge("calls_in_flight", "Calls under way.", ["kind"])
        self._connections = gauge("connections", "Open connections of callers.")
        gauge("workers", "Processes that serve.").set(1)
        refusals = counter("refusals", "Calls that a limit of the proxy refused or ended.", ["limit"])
        upstream_connections = gauge("upstream_connections", "Connections to the service in use.", ["kind"])
        self._buffered = gauge("buffered_bytes", "What is held of requests.")
        self._records = counter("caller_log_records", "Records and heartbeats that were written.")
        self._failures = counter("caller_log_write_failures", "Those that could not be written.")
        latest = partial(Gauge, namespace=NAMESPACE, registry=own, multiprocess_mode="max")
        about = "When the ledger had everything that was written to the caller log."
        self._ledger_success = latest("ledger_last_success_timestamp_seconds", about)
        self._ledger_backlog = latest("ledger_backlog_bytes", "Bytes of the caller log that the ledger does not have.")
        self._ledger_failures = counter("ledger_failures", "Attempts to write to the ledger that failed.")
        self._taken_over = counter("lost_tries_taken_over", "Runs that a retry got from another process.")
        about = "Times that a lost try could not be shared with other processes, so its retry may start a second run."
        self._unshared = counter("lost_tries_not_shared", about)
        about = "When a certificate ends, by its key: upstream.certificate is shown to the service, upstream by it."
        certificates = latest("certificate_end_timestamp_seconds", about, ["key"])
        self._certificates = {key: certificates.labels(key) for key in get_args(CertificateKey)}
        self.reloads = Reloads(own)
        if slot is None:
            self.reloads.record(success=True)

        # labels() is slow, so its results are kept. All series are created now: a full disk must not fail a call later.
        self._in_flight = {kind: in_flight.labels(kind) for kind in get_args(Kind)}
        self._refusals = {limit: refusals.labels(limit).inc for limit in get_args(Limit)}
        self._in_use = {kind: upstream_connections.labels(kind) for kind in get_args(ConnectionKind)}
        self._callers = {OTHER: self._by_caller.labels(OTHER).inc}
        self.configure(config)
        self._count: dict[tuple[str, Outcome, int], Callable[[], None]] = {}
        self._observe: dict[str, tuple[Callable[[float], None], Callable[[float], None]]] = {}
        for endpoint in (*(endpoint.name for endpoint in ENDPOINTS), NO_ENDPOINT):
            self._observe[endpoint] = durations.labels(endpoint).observe, exchanges.labels(endpoint).observe
            for outcome, status in _EXPECTED:
                self._counter(endpoint, outcome, status)

    def configure(self, config: Config) -> None:
        """Adopt the dates and the known callers of a configuration. Callers that are gone from it keep their series."""
        for name in sorted({known.name for known in config.callers.known} - self._callers.keys()):
            self._callers[name] = self._by_caller.labels(name).inc
        self._facts.configure(config)

    def begun(self, kind: Kind) -> None:
        """Count the start of a call."""
        self._in_flight[kind].inc()

    def ended(
        self, kind: Kind, endpoint: str, outcome: Outcome, status: int, *, duration: float, exchange: float | None
    ) -> None:
        """Count the end of a call.

        Args:
            kind: the same as at its start.
            endpoint: name of the withdrawn endpoint, or `NO_ENDPOINT`.
            outcome: as in the caller record.
            status: of the answer to the caller.
            duration: of the call, in seconds.
            exchange: with the service, in seconds; None if there was none.
        """
        self._counter(endpoint, outcome, status // 100)()
        call, upstream = self._observe[endpoint]
        call(duration)
        if exchange is not None:
            upstream(exchange)
        self._in_flight[kind].dec()

    def count_interrupted(self, record: CallRecord) -> None:
        """Count a call that ended because its process was killed."""
        self._counter(record.endpoint, record.outcome, record.status // 100)()
        self.called_by(record.caller if record.caller_source == "known" else None)

    def called_by(self, known: str | None) -> None:
        """Count a call of a withdrawn endpoint for one of `callers.known`, or None for any other caller."""
        self._callers.get(known or OTHER, self._callers[OTHER])()

    def logged(self, written: bool) -> None:
        """Count a record that was written, or could not be."""
        (self._records if written else self._failures).inc()

    def ledger_passed(self, state: State, backlog: int) -> None:
        """Count an attempt to write to the ledger.

        Args:
            state: whether it has everything now.
            backlog: bytes of the caller log that it does not have.
        """
        if state is State.UP_TO_DATE:
            self._ledger_success.set_to_current_time()
        elif state is State.UNAVAILABLE:
            self._ledger_failures.inc()
        self._ledger_backlog.set(backlog)

    def count_taken_over(self) -> None:
        """Count a run that a retry got from another process."""
        self._taken_over.inc()

    def count_unshared(self) -> None:
        """Count a lost try of which other processes do not know, or whose run cannot be claimed."""
        self._unshared.inc()

    def certificate_ends(self, key: CertificateKey, end: datetime) -> None:
        """Set when a certificate ends, by the key of the configuration that it belongs to."""
        self._certificates[key].set(end.timestamp())

    def connected(self, by: int) -> None:
        """Add to the number of open connections."""
        self._connections.inc(by)

    def refused(self, limit: Limit) -> None:
        """Count a call that a limit refused or ended."""
        self._refusals[limit]()

    def sampled(self, in_use: Mapping[ConnectionKind, int], buffered: int) -> None:
        """Set what changes with each call; it is set about once a second, to cost calls nothing.

        Args:
            in_use: connections to the service.
            buffered: bytes that are held of requests.
        """
        for kind, connections in in_use.items():
            self._in_use[kind].set(connections)
        self._buffered.set(buffered)

    def exposition(self, accept: str) -> tuple[str, bytes]:
        """Return everything in the format that ``Accept`` asks for: that of Prometheus, or OpenMetrics.

        Returns:
            The media type, and the text.

        Raises:
            OSError: the files that the workers share cannot be read.
        """
        try:
            encode, media_type = choose_encoder(accept)
        except (TypeError, ValueError):  # the library fails on a version that is not a number
            encode, media_type = choose_encoder("")
        return media_type, encode(self._registry)

    def _counter(self, endpoint: str, outcome: Outcome, hundreds: int) -> Callable[[], None]:
        key = endpoint, outcome, hundreds
        if (count := self._count.get(key)) is None:
            count = self._count[key] = self._calls.labels(endpoint, outcome, f"{hundreds}xx").inc
        return count


class Reloads:
    """How the last reload of the configuration went; the start counts as one.

    Args:
        registry: where they are registered; None if several processes count.
    """

    def __init__(self, registry: CollectorRegistry | None) -> None:
        # Workers leave them at zero, so the maximum of all processes is what the supervisor has set.
        gauge = partial(Gauge, namespace=NAMESPACE, registry=registry, multiprocess_mode="max")
        about = "Whether the configuration could be used when it was last read."
        self._successful = gauge("config_last_reload_successful", about)
        about = "When it was last read and could be used."
        self._success = gauge("config_last_reload_success_timestamp_seconds", about)

    def record(self, *, success: bool) -> None:
        """Set both for a reload that has just ended."""
        self._successful.set(success)
        if success:
            self._success.set(time.time())


def supervisor_reloads(folder: str) -> Reloads:
    """Return the metrics of reloads, which every worker shows.

    Args:
        folder: in which the workers count.
    """
    os.environ[FOLDER] = folder
    _count_as(SUPERVISOR)
    reloads = Reloads(None)
    reloads.record(success=True)
    return reloads


def _count_as(process: int | str | None) -> None:
    """Have metrics that are created from now on count in files of this process, or in memory if it is None.

    The library decides by the environment when it is imported, and names the files after process IDs. Then every
    worker that is replaced would leave files behind.
    """
    files = library.MultiProcessValue(lambda: process)  # type: ignore[no-untyped-call]
    library.ValueClass = library.MutexValue if process is None else files


def shared_folder() -> "tempfile.TemporaryDirectory[str]":
    """Create a folder in which the workers count, in memory if possible: a slow disk must not slow them down.

    Raises:
        OSError: it cannot be created.
    """
    folder = memory_folder()
    return tempfile.TemporaryDirectory(prefix="trigger-shim-metrics-", dir=folder, ignore_cleanup_errors=True)


def worker_ended(slot: int, folder: str) -> None:
    """Reset the gauges of a worker that has ended; its counters stay."""
    mark_process_dead(slot, folder)  # type: ignore[no-untyped-call]


class _Facts(Collector):
    """What is not counted: the version, the dates of the withdrawal, and the figures of the process.

    Args:
        config: has the dates.
        supervisor: process ID of the supervisor, if this is a worker. Then only the time of its start is shown: other
            figures differ from process to process, and a scrape reaches any of the workers.
    """

    def __init__(self, config: Config, supervisor: int | None) -> None:
        self.configure(config)
        self._is_worker = supervisor is not None
        self._process = ProcessCollector(pid=lambda: supervisor or "self", registry=None)

    def configure(self, config: Config) -> None:
        self._policy = config.lifecycle
        known = (policy_subject(known.name, known, has_record=True) for known in config.callers.known)
        self._ends = refusal_dates(self._policy, (PolicySubject(OTHER), *known))

    def collect(self) -> Iterable[Metric]:
        build = GaugeMetricFamily(
            f"{NAMESPACE}_build_info", "The version, and that of Python.", labels=("version", "python")
        )
        build.add_metric((__version__, platform.python_version()), 1)
        yield build
        for name, date in (("deprecated", self._policy.deprecated), ("sunset", self._policy.sunset)):
            if date is not None:
                yield GaugeMetricFamily(
                    f"{NAMESPACE}_lifecycle_{name}_timestamp_seconds", f"lifecycle.{name}.", date.timestamp()
                )
        about = "From when on all calls of a caller are refused."
        sunsets = GaugeMetricFamily(f"{NAMESPACE}_caller_sunset_timestamp_seconds", about, labels=("caller",))
        for caller, date in self._ends.items():
            sunsets.add_metric((caller,), date.timestamp())
        yield sunsets
        for metric in self._process.collect():
            if not self._is_worker or metric.name == "process_start_time_seconds":
                yield metric


class _Shared(Collector):
    """What all workers have counted, including those that have ended."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        # The library's own collect() fails on an empty file, which a worker that is starting may just have created.
        files = [file.path for file in os.scandir(self._folder) if file.stat().st_size]
        metrics: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        return metrics
