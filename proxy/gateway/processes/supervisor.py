"""Serves with as many processes as the configuration asks for: with one in this process, with more in workers."""

import asyncio
import contextlib
import dataclasses
import functools
import os
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from proxy.callers.log.files import STDOUT
from proxy.callers.log.fingerprint_key import fingerprint_key
from proxy.config import Config, ConfigError
from proxy.gateway import child, metrics
from proxy.gateway.app import App
from proxy.gateway.processes import service_manager as notify
from proxy.gateway.processes.reload import Reload
from proxy.gateway.processes.start import application
from proxy.gateway.processes.worker import Order, Report, Work
from proxy.gateway.server import descriptors, server
from proxy.gateway.server.server import GRACE, Listeners, ServeError
from proxy.output import diagnostics
from proxy.output.diagnostics import log
from proxy.signals import Stop

STEADY = 10.0
"""Seconds after which a worker that dies is replaced at once."""

LONGEST_PAUSE = 30.0
"""Seconds, at most, before a worker is replaced."""

PATIENCE = 5.0
"""Seconds beyond the drain after which a worker that does not end is killed, and after which one is named that lets a
reload wait."""


def serve(load: Callable[[], Config], stop: Stop, announce: bool) -> None:
    """Run until a signal ends it: the first once the calls under way have ended, the second at once.

    Args:
        load: reads the whole configuration, now and on every SIGHUP.
        stop: hears the signals that end it. SIGHUP is held, too.
        announce: say on standard error where it listens, forwards and logs.

    Raises:
        ConfigError: the configuration cannot be used.
        ServeError: a port, the caller log or the certificate cannot be opened, or workers do not start or end.
    """
    descriptors.raise_limit()
    read = load()
    diagnostics.configure(read.log.format)
    config = _with_one_key(read)
    listeners = server.listen(config)
    counts = metrics.Metrics(config)
    app = application(config, listeners, counts)
    alone = _Alone(app, config, Reload(load, read, config, app.adopt, counts.reloads), stop)
    if announce:
        _announce(config, listeners)
    descriptors.check_limit(config)
    if config.workers == 1:
        server.settle()
        alone.run(listeners.sockets)
        return
    app.close()  # it was made to find what is wrong here, where one line says so
    try:
        asyncio.run(_Supervisor(config, listeners).run(load, read, stop))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise ServeError(f"workers: {where}{error.strerror or type(error).__name__}") from None


def _with_one_key(config: Config) -> Config:
    """The same, but where each worker would make up a key of its own, with a made-up one."""
    if config.workers == 1 or config.callers.log != STDOUT or config.callers.fingerprint_key is not None:
        return config
    key = fingerprint_key(None, STDOUT).hex()
    return dataclasses.replace(config, callers=dataclasses.replace(config.callers, fingerprint_key=key))


def _announce(config: Config, listeners: Listeners) -> None:
    scheme = "https" if config.tls else "http"
    log.info(
        "listening",
        url=f"{scheme}://{server.address(listeners.public)}",
        admin=listeners.admin and f"{scheme}://{server.address(listeners.admin)}",
        upstream=config.upstream.url,
        caller_log=config.callers.log,
    )


class _Alone(server.Server):
    """The only process that serves."""

    def __init__(self, app: App, config: Config, reload: Reload, stop: Stop) -> None:
        limits = config.limits
        super().__init__(
            app,
            limits.drain,
            delay=limits.drain_delay,
            tls=config.tls,
            ready=self._serves,
            stopping=self._stops_serving,
            places=descriptors.places(config),
        )
        self._app = app
        self._reload = reload
        self._signalled = stop

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        self._signalled.call(functools.partial(asyncio.get_running_loop().call_soon_threadsafe, self.stop))
        yield

    def _serves(self) -> None:
        self._reload.begin()
        notify.ready()

    def _stops_serving(self) -> None:
        self._app.stopping()
        notify.stopping()

    def drain(self) -> None:
        """Stop once the calls under way have ended."""
        self._reload.end()
        super().drain()


class _Gone(Exception):
    """A worker has ended."""


class _Worker:
    """A worker, as its supervisor sees it."""

    def __init__(self, process: Process, channel: "Connection[Order | Work, Report]") -> None:
        self._process = process
        self.pid = process.pid
        self._channel = channel
        self._reports: asyncio.Queue[Report | _Gone] = asyncio.Queue()
        asyncio.get_running_loop().add_reader(channel.fileno(), self._hear)

    def __str__(self) -> str:
        return f"worker {self._process.pid}"

    async def problem(self) -> str | None:
        """Wait until it serves, or say why it cannot."""
        try:
            return await self._report()
        except _Gone:
            return f"it {await self.end()}"

    async def adopt(self, config: Config) -> str | None:
        """Wait until a configuration is in force there, or say why it cannot be."""
        self.order(config)
        try:
            return await self._report()
        except _Gone:  # another takes its place, and starts with it
            return None

    async def end(self) -> str:
        """Wait until it has ended, and say how."""
        status = await self._process.wait()
        self._leave()
        if status >= 0:
            return f"ended with status {status}"
        names = {number.value: number.name for number in signal.Signals}
        return f"was ended by {names.get(-status, f'signal {-status}')}"

    def order(self, order: Order) -> None:
        """Say something to it."""
        with contextlib.suppress(OSError):
            self._channel.send(order)

    def kill(self) -> None:
        """End it, whatever it is at."""
        # The process's own kill looks whether it has ended, and takes the status from whoever waits for it.
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)

    async def _report(self) -> Report:
        report = await self._reports.get()
        if isinstance(report, _Gone):
            self._reports.put_nowait(report)  # for whoever else waits
            raise report
        return report

    def _hear(self) -> None:
        try:
            self._reports.put_nowait(self._channel.recv())
        except (EOFError, OSError):
            self._leave()

    def _leave(self) -> None:
        if not self._channel.closed:
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self._channel.close()
            self._reports.put_nowait(_Gone())


class _Supervisor:
    """Starts workers, replaces those that die, and ends them."""

    _folder: str
    _reload: Reload

    def __init__(self, config: Config, listeners: Listeners) -> None:
        self._config = config
        self._listeners = listeners
        self._workers: dict[int, _Worker] = {}
        self._stopping = asyncio.Event()
        self._to_come: int = config.workers
        self._killed = 0

    async def run(self, load: Callable[[], Config], read: Config, stop: Stop) -> None:
        """Keep the workers running until a signal ends them.

        Args:
            load: reads the whole configuration.
            read: what it read at the start.
            stop: hears the signals.

        Raises:
            OSError: there is no place for what the workers count.
            ServeError: one cannot start, or had to be killed.
        """
        stop.call(functools.partial(asyncio.get_running_loop().call_soon_threadsafe, self._stop))
        with metrics.shared_folder() as self._folder:
            reloads = metrics.reloads_of_all(self._folder)
            self._reload = Reload(load, read, self._config, self.adopt, reloads)
            self._reload.begin()
            await self._keep_all()

    async def _keep_all(self) -> None:
        try:
            await asyncio.gather(*(self._keep(slot) for slot in range(self._config.workers)))
        finally:  # one that did not start leaves the others
            self._stopping.set()
            self._kill()
            await asyncio.gather(*(worker.end() for worker in self._workers.values()))
        if self._killed:
            raise ServeError(f"workers that did not end in time, and were killed: {self._killed}")

    async def adopt(self, config: Config) -> None:
        """Put a configuration in force in every worker, those that are still to come included.

        Raises:
            ConfigError: a worker cannot do that.
        """
        self._config = config
        asked = {asyncio.create_task(worker.adopt(config)): worker for worker in self._workers.values()}
        if not asked:
            return
        _, late = await asyncio.wait(asked, timeout=PATIENCE)
        for task in late:
            log.warning("reload_waiting", worker=asked[task].pid)
        await asyncio.wait(asked)
        if problems := [f"{worker}: {problem}" for task, worker in asked.items() if (problem := task.result())]:
            raise ConfigError(problems)

    async def _keep(self, slot: int) -> None:
        """Have a worker in a slot until the stop.

        Raises:
            ServeError: the first one does not start.
        """
        loop = asyncio.get_running_loop()
        first, pause = True, 0.0
        while not self._stopping.is_set():
            started = loop.time()
            pid, reason = await self._life(slot, first=first)
            if self._stopping.is_set():
                return
            first, pause = False, next_pause(pause, loop.time() - started)
            log.warning("worker_ended", worker=pid, reason=reason, restart_in=int(pause))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    async def _life(self, slot: int, *, first: bool) -> tuple[int, str]:
        """Have one worker in a slot, from its start to its end; say which, and how it ended."""
        worker = self._workers[slot] = await self._start(slot)
        if self._stopping.is_set():
            worker.order("drain")
        problem = await worker.problem()
        if problem is not None and first and not self._stopping.is_set():
            raise ServeError(f"a worker does not start: {problem}")
        if first:
            self._came()
        how = await worker.end()
        del self._workers[slot]
        metrics.forget(slot, self._folder)
        return worker.pid, how if problem is None else f"did not start: {problem}"

    def _came(self) -> None:
        self._to_come -= 1
        if self._to_come == 0 and not self._stopping.is_set():
            notify.ready()

    async def _start(self, slot: int) -> _Worker:
        ours, theirs = Pipe()
        sockets = tuple(bound.fileno() for bound in self._listeners.sockets)
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *child.command("proxy.gateway.processes.worker", str(theirs.fileno())),
                stdin=DEVNULL,
                pass_fds=(theirs.fileno(), *sockets),
                process_group=0,  # Ctrl-C is for the supervisor
                env=child.environment({metrics.FOLDER: self._folder}),
            )
        with contextlib.suppress(OSError):  # it is gone already, which its end tells
            ours.send(tuple(Work(self._config, slot, self._folder, sockets)))
        return _Worker(process, ours)

    def _stop(self) -> None:
        self._reload.end()
        order: Order = "end" if self._stopping.is_set() else "drain"
        self._stopping.set()
        notify.stopping()
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
    """Seconds to wait before a worker is replaced.

    Args:
        last: what it was the time before.
        lived: seconds from the start of the worker to its end.
    """
    return 0 if lived >= STEADY else min(max(2 * last, 1), LONGEST_PAUSE)
