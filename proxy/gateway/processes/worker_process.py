"""A worker, as its supervisor sees it."""

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, Process
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from proxy.config import Config
from proxy.gateway import child
from proxy.gateway.metrics import FOLDER
from proxy.gateway.processes.worker import Order, Problem, Work


class _Ended(Exception):
    """The worker has ended, so it reports nothing more."""


class WorkerProcess:
    """The process of a worker, and the connection to it. `start` creates one.

    The worker sends one report after its start, and one after each configuration that it was sent.
    """

    def __init__(self, process: Process, channel: "Connection[Order | Work, Problem]") -> None:
        self._process = process
        self.pid = process.pid
        self._channel = channel
        self._reports: asyncio.Queue[Problem | _Ended] = asyncio.Queue()
        asyncio.get_running_loop().add_reader(channel.fileno(), self._receive)

    def __str__(self) -> str:
        return f"worker {self.pid}"

    @classmethod
    async def start(cls, work: Work) -> "WorkerProcess":
        """Start a worker.

        Raises:
            OSError: the system refuses another process.
        """
        ours, theirs = Pipe()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *child.command("proxy.gateway.processes.worker", str(theirs.fileno())),
                stdin=DEVNULL,
                pass_fds=(theirs.fileno(), *work.sockets),
                process_group=0,  # Ctrl-C is for the supervisor
                env=child.environment({FOLDER: work.folder}),
            )
        with contextlib.suppress(OSError):  # it has ended already, which `end` reports
            ours.send(tuple(work))
        return cls(process, ours)

    async def problem(self) -> str | None:
        """Wait until it serves. Returns why it cannot, if so."""
        try:
            return await self._next_report()
        except _Ended:
            return f"it {await self.end()}"

    async def adopt(self, config: Config) -> str | None:
        """Send a configuration, and wait until it is in force. Returns why it cannot be, if so."""
        self.order(config)
        try:
            return await self._next_report()
        except _Ended:  # the worker that replaces it starts with this configuration
            return None

    async def end(self) -> str:
        """Wait until it has ended. Returns how it ended."""
        status = await self._process.wait()
        self._disconnect()
        if status >= 0:
            return f"ended with status {status}"
        names = {number.value: number.name for number in signal.Signals}
        return f"was ended by {names.get(-status, f'signal {-status}')}"

    def order(self, order: Order) -> None:
        """Send an order, unless it has ended."""
        with contextlib.suppress(OSError):
            self._channel.send(order)

    def kill(self) -> None:
        """Send SIGKILL, unless it has ended."""
        # Process.kill() polls the process first, and so takes the status that `end` waits for.
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)

    async def _next_report(self) -> Problem:
        report = await self._reports.get()
        if isinstance(report, _Ended):
            self._reports.put_nowait(report)  # for others that wait
            raise report
        return report

    def _receive(self) -> None:
        try:
            self._reports.put_nowait(self._channel.recv())
        except (EOFError, OSError):
            self._disconnect()

    def _disconnect(self) -> None:
        if not self._channel.closed:
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self._channel.close()
            self._reports.put_nowait(_Ended())
