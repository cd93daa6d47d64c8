"""Starts workers, replaces those that die, and stops them."""

import asyncio
import contextlib
import functools
from collections.abc import Callable

from proxy.config import Config, ConfigError
from proxy.gateway import metrics
from proxy.gateway.processes import service_manager
from proxy.gateway.processes.reload import Reload
from proxy.gateway.processes.worker import Order, Work
from proxy.gateway.processes.worker_process import WorkerProcess
from proxy.gateway.server.listeners import Listeners, ServeError
from proxy.gateway.server.server import GRACE
from proxy.output.diagnostics import log
from proxy.signals import Stop

STEADY = 10.0
"""Seconds after whose start a worker that dies is replaced at once."""

LONGEST_PAUSE = 30.0
"""Seconds before a worker is replaced, at most."""

PATIENCE = 5.0
"""Seconds beyond the drain after which a worker is killed, and after which one that delays a reload is named."""


class Supervisor:
    """Keeps one worker in each slot, until a signal stops them all.

    Args:
        config: the whole configuration.
        listeners: the sockets, which all workers share.
    """

    _folder: str
    _reload: Reload

    def __init__(self, config: Config, listeners: Listeners) -> None:
        self._config = config
        self._listeners = listeners
        self._workers: dict[int, WorkerProcess] = {}
        self._starting = asyncio.Lock()  # held while a worker starts, and while a reload picks whom to ask: all of them
        self._stopping = asyncio.Event()
        self._not_ready: int = config.workers
        self._killed = 0

    async def run(self, load: Callable[[], Config], read: Config, stop: Stop, file: str | None = None) -> None:
        """Keep the workers running until a signal stops them.

        Args:
            load: reads the whole configuration.
            read: what it returned at the start.
            stop: receives the signals.
            file: path of the configuration file, if there is one.

        Raises:
            OSError: the folder for the metrics cannot be created.
            ServeError: a worker cannot start, or had to be killed.
        """
        stop.set_handler(functools.partial(asyncio.get_running_loop().call_soon_threadsafe, self._stop))
        with metrics.shared_folder() as self._folder:
            reloads = metrics.supervisor_reloads(self._folder)
            self._reload = Reload(load, read, self._config, self.adopt, reloads, file=file)
            self._reload.start()
            service_manager.stay_alive()
            await self._run_all()

    async def _run_all(self) -> None:
        try:
            await asyncio.gather(*(self._run_slot(slot) for slot in range(self._config.workers)))
        finally:  # if one did not start, the others still run
            self._stopping.set()
            self._kill()
            await asyncio.gather(*(worker.end() for worker in self._workers.values()))
        if self._killed:
            raise ServeError(f"workers that did not end in time, and were killed: {self._killed}")

    async def adopt(self, config: Config) -> None:
        """Put a configuration in force in every worker, including those that start later.

        Raises:
            ConfigError: a worker refuses it.
        """
        before = self._config
        asked = await self._ask(config)
        if not asked:
            return
        _, late = await asyncio.wait(asked, timeout=PATIENCE)
        for task in late:
            log.warning("reload_waiting", worker=asked[task].pid)
        await asyncio.wait(asked)
        if problems := [f"{worker}: {problem}" for task, worker in asked.items() if (problem := task.result())]:
            await asyncio.gather(*await self._ask(before))
            raise ConfigError(problems)

    async def _ask(self, config: Config) -> dict[asyncio.Task[str | None], WorkerProcess]:
        """Send a configuration to every worker, and have those that start later begin with it."""
        async with self._starting:
            self._config = config
            return {asyncio.create_task(worker.adopt(config)): worker for worker in self._workers.values()}

    async def _run_slot(self, slot: int) -> None:
        """Run one worker after the other until the stop.

        Raises:
            ServeError: the first one does not start.
        """
        loop = asyncio.get_running_loop()
        first, pause = True, 0.0
        while worker := await self._start_worker(slot):
            started = loop.time()
            reason = await self._run_worker(worker, slot, first=first)
            if self._stopping.is_set():
                return
            first, pause = False, next_pause(pause, loop.time() - started)
            log.warning("worker_ended", worker=worker.pid, reason=reason, restart_in=int(pause))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    async def _start_worker(self, slot: int) -> WorkerProcess | None:
        """Start a worker, unless the stop has come."""
        async with self._starting:
            if self._stopping.is_set():  # the sockets are closed
                return None
            sockets = tuple(bound.fileno() for bound in self._listeners.sockets)
            worker = self._workers[slot] = await WorkerProcess.start(Work(self._config, slot, self._folder, sockets))
        if self._stopping.is_set():  # while it started
            worker.order("drain")
        return worker

    async def _run_worker(self, worker: WorkerProcess, slot: int, *, first: bool) -> str:
        """Run one worker to its end. Returns how it ended."""
        problem = await worker.problem()
        if problem is not None and first and not self._stopping.is_set():
            raise ServeError(f"a worker does not start: {problem}")
        self._not_ready -= first
        if first and self._not_ready == 0 and not self._stopping.is_set():
            service_manager.ready()
        how = await worker.end()
        del self._workers[slot]
        metrics.worker_ended(slot, self._folder)
        return how if problem is None else f"did not start: {problem}"

    def _stop(self) -> None:
        self._reload.stop()
        order: Order = "end" if self._stopping.is_set() else "drain"
        self._stopping.set()
        service_manager.stopping()
        for bound in self._listeners.sockets:
            bound.close()
        for worker in self._workers.values():
            worker.order(order)
        limits = self._config.limits
        patience = GRACE + PATIENCE + (limits.drain_delay + limits.drain if order == "drain" else 0)
        asyncio.get_running_loop().call_later(patience, self._kill)

    def _kill(self) -> None:
        for worker in self._workers.values():
            worker.kill()
            self._killed += 1


def next_pause(last: float, lived: float) -> float:
    """Return how many seconds to wait before a worker is replaced.

    Args:
        last: the pause before the worker was started, in seconds.
        lived: seconds from its start to its end.
    """
    return 0 if lived >= STEADY else min(max(2 * last, 1), LONGEST_PAUSE)
