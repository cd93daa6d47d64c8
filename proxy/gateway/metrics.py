"""What is counted, for Prometheus. No label can take a value that a caller makes up."""

import contextlib
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client import values as library
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from proxy import __version__
from proxy.callers.identity import policy_subject
from proxy.callers.log.journal import memory_folder
from proxy.callers.record import CallRecord
from proxy.callers.report.policy_effect import refusal_dates
from proxy.config import Config
from proxy.errors import Outcome
from proxy.withdrawn.endpoints import ENDPOINTS
from proxy.withdrawn.lifecycle import PolicySubject

NO_ENDPOINT = "pass_through"
"""The endpoint of every call that is of no withdrawn one."""

OTHER = "other"
"""The caller of every call whose caller is none of `callers.known`."""

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable in which the library looks for the folder that workers share."""

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Upper bounds of a duration, in seconds."""

SUPERVISOR = "supervisor"
"""Takes the place of a slot in the names of the files of the process that has the workers."""

Kind = Literal["withdrawn", "pass_through"]

# The first increase of a series is seen only where the series was there before, at zero.
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

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series beside each, with the time at which it began


class Metrics:
    """Counts, and says what was counted.

    Args:
        config: which callers have a name, and which dates there are.
        slot: a worker's number, where several share the folder that the environment names in `FOLDER`. Who takes the
            place of another goes on counting where that one ended. None where there is but one process.

    Attributes:
        reloads: how they went; where there are workers, their supervisor has its own, and this one is not used.
    """

    def __init__(self, config: Config, slot: int | None = None) -> None:
        # The library looks at the environment when it is imported; only here is it known what is right.
        shared = library.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]
        library.ValueClass = library.MutexValue if slot is None else shared
        self._registry = CollectorRegistry()
        make = _Maker(self._registry if slot is None else None)
        self._facts = _Facts(config, os.getpid() if slot is None else os.getppid())
        self._registry.register(self._facts)
        self._registry.register(_OneProcess() if slot is None else _Shared(Path(os.environ[FOLDER])))

        self._calls = make.counter("calls", "Calls that have ended.", "endpoint", "outcome", "status")
        self._by_caller = make.counter("caller_calls", "Calls of withdrawn endpoints that have ended.", "caller")
        durations = make.histogram("call_duration", "From the head of a call until its answer was ready.")
        exchanges = make.histogram("upstream_duration", "The exchange with the service.")
        in_flight = make.gauge("calls_in_flight", "Calls under way.", "kind")
        self._connections = make.gauge("connections", "Open connections of callers.")
        make.gauge("workers", "Processes that serve.").set(1)
        self._records = make.counter("caller_log_records", "Records and heartbeats that were written.").inc
        self._failures = make.counter("caller_log_write_failures", "Those that could not be written.").inc

        self.reloads = Reloads(make)
        if slot is None:
            self.reloads.record(success=True)

        kinds: tuple[Kind, ...] = ("withdrawn", "pass_through")
        self._in_flight = {kind: in_flight.labels(kind) for kind in kinds}
        self._callers = {OTHER: self._by_caller.labels(OTHER).inc}
        self.configure(config)
        self._count: dict[tuple[str, Outcome, int], Callable[[], None]] = {}
        self._observe: dict[str, tuple[Callable[[float], None], Callable[[float], None]]] = {}
        # All of it now: a call must not fail because a file cannot be made or grow.
        for endpoint in (*(endpoint.name for endpoint in ENDPOINTS), NO_ENDPOINT):
            self._observe[endpoint] = durations.labels(endpoint).observe, exchanges.labels(endpoint).observe
            for outcome, status in _EXPECTED:
                self._counter(endpoint, outcome, status)

    def configure(self, config: Config) -> None:
        """Take the dates and the names of callers from another configuration; a name that had a series keeps it."""
        for name in sorted({known.name for known in config.callers.known} - self._callers.keys()):
            self._callers[name] = self._by_caller.labels(name).inc
        self._facts.configure(config)

    def begun(self, kind: Kind) -> None:
        """A call has begun."""
        self._in_flight[kind].inc()

    def ended(
        self, kind: Kind, endpoint: str, outcome: Outcome, status: int, *, duration: float, exchange: float | None
    ) -> None:
        """A call has ended.

        Args:
            kind: as it began.
            endpoint: name of the withdrawn endpoint, or `NO_ENDPOINT`.
            outcome: as the caller record has it.
            status: what the caller was answered.
            duration: of the call, in seconds.
            exchange: with the service, in seconds; None where there was none.
        """
        (self._count.get((endpoint, outcome, status // 100)) or self._counter(endpoint, outcome, status // 100))()
        call, upstream = self._observe[endpoint]
        call(duration)
        if exchange is not None:
            upstream(exchange)
        self._in_flight[kind].dec()

    def count_interrupted(self, record: CallRecord) -> None:
        """Count a call that was under way when its process was killed, by its record."""
        self._counter(record.endpoint, record.outcome, record.status // 100)()
        self.called_by(record.caller if record.caller_source == "known" else None)

    def called_by(self, known: str | None) -> None:
        """Count a call of a withdrawn endpoint for its caller, if that is one of `callers.known`."""
        self._callers.get(known or OTHER, self._callers[OTHER])()

    def logged(self, written: bool) -> None:
        """A record was to be written."""
        if written:
            self._records()
        else:
            self._failures()

    def connected(self, by: int) -> None:
        """There are so many connections more, or less."""
        self._connections.inc(by)

    def exposition(self, accept: str) -> tuple[str, bytes]:
        """Everything, in the format that ``Accept`` asks for: that of Prometheus, or OpenMetrics.

        Returns:
            The media type, and the text.

        Raises:
            OSError: what the workers share cannot be read.
        """
        try:
            encode, media_type = choose_encoder(accept)
        except (TypeError, ValueError):  # the library's own fault, on a version that is no number
            encode, media_type = choose_encoder("")
        return media_type, encode(self._registry)

    def _counter(self, endpoint: str, outcome: Outcome, hundreds: int) -> Callable[[], None]:
        count = self._calls.labels(endpoint, outcome, f"{hundreds}xx").inc
        self._count[endpoint, outcome, hundreds] = count
        return count


class Reloads:
    """How the last reload of the configuration went; the start counts as one."""

    def __init__(self, make: "_Maker") -> None:
        about = "Whether the configuration could be used when it was last read."
        # Workers have them, too, and leave them at zero: only what their supervisor says is more than that.
        self._successful = make.gauge("config_last_reload_successful", about, mode="max")
        about = "When it was last read and could be used."
        self._success = make.gauge("config_last_reload_success_timestamp_seconds", about, mode="max")

    def record(self, *, success: bool) -> None:
        """Say how it went."""
        self._successful.set(success)
        if success:
            self._success.set(time.time())


def supervisor_reloads(folder: str) -> Reloads:
    """Those that every worker shows.

    Args:
        folder: where the workers count.
    """
    os.environ[FOLDER] = folder
    library.ValueClass = library.MultiProcessValue(lambda: SUPERVISOR)  # type: ignore[no-untyped-call]
    reloads = Reloads(_Maker(None))
    reloads.record(success=True)
    return reloads


@contextlib.contextmanager
def shared_folder() -> Iterator[str]:
    """A new folder for what workers count, in memory where the system has such a place: a slow disk must not slow them.

    Raises:
        OSError: none can be made.
    """
    with tempfile.TemporaryDirectory(
        prefix="trigger-shim-metrics-", dir=memory_folder(), ignore_cleanup_errors=True
    ) as folder:
        yield folder


def worker_ended(slot: int, folder: str) -> None:
    """Drop what a worker that has ended had under way; what it counted stays."""
    mark_process_dead(slot, folder)  # type: ignore[no-untyped-call]


class _Maker:
    """Makes metrics, in the registry where they are this process's alone."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        self._registry = registry

    def counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(f"trigger_shim_{name}", about, labels, registry=self._registry)

    def gauge(self, name: str, about: str, *labels: str, mode: Literal["livesum", "max"] = "livesum") -> Gauge:
        return Gauge(f"trigger_shim_{name}", about, labels, registry=self._registry, multiprocess_mode=mode)

    def histogram(self, name: str, about: str) -> Histogram:
        return Histogram(f"trigger_shim_{name}_seconds", about, ("endpoint",), buckets=BUCKETS, registry=self._registry)


class _Facts(Collector):
    """What is not counted: the version, the dates of the withdrawal, and when the proxy started."""

    def __init__(self, config: Config, process: int) -> None:
        self.configure(config)
        self._process = ProcessCollector(pid=lambda: process, registry=None)

    def configure(self, config: Config) -> None:
        self._policy = config.lifecycle
        known = (policy_subject(known.name, known, has_record=True) for known in config.callers.known)
        self._ends = refusal_dates(self._policy, (PolicySubject(OTHER), *known))

    def collect(self) -> Iterable[Metric]:
        build = GaugeMetricFamily(
            "trigger_shim_build_info", "The version, and that of Python.", labels=("version", "python")
        )
        build.add_metric((__version__, platform.python_version()), 1)
        yield build
        for name, date in (("deprecated", self._policy.deprecated), ("sunset", self._policy.sunset)):
            if date is not None:
                yield GaugeMetricFamily(
                    f"trigger_shim_lifecycle_{name}_timestamp_seconds", f"lifecycle.{name}.", date.timestamp()
                )
        about = "From when on all calls of a caller are refused."
        sunsets = GaugeMetricFamily("trigger_shim_caller_sunset_timestamp_seconds", about, labels=("caller",))
        for caller, date in self._ends.items():
            sunsets.add_metric((caller,), date.timestamp())
        yield sunsets
        # Of several workers this is the one number that they have in common.
        yield from (metric for metric in self._process.collect() if metric.name == "process_start_time_seconds")


class _OneProcess(Collector):
    """The memory, time and files of the process, where it is the only one."""

    def __init__(self) -> None:
        self._process = ProcessCollector(registry=None)

    def collect(self) -> Iterable[Metric]:
        return [metric for metric in self._process.collect() if metric.name != "process_start_time_seconds"]


class _Shared(Collector):
    """What all the workers have counted, the ended ones included."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        # A worker that is only just starting may have made a file, and nothing in it.
        files = [file.path for file in os.scandir(self._folder) if file.stat().st_size]
        metrics: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        return metrics
