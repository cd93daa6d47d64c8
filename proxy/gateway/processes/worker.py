"""One of several workers: a process that the supervisor starts, with the sockets that all workers share."""

import asyncio
import contextlib
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any, Literal, NamedTuple

from proxy import signals
from proxy.config import Config, ConfigError
from proxy.gateway.app import App
from proxy.gateway.metrics import Metrics
from proxy.gateway.processes.start import ConfiguredServer, application, freeze_startup_objects
from proxy.gateway.server.listeners import Listeners, ServeError
from proxy.output import diagnostics

Order = Literal["drain", "end"] | Config
"""What the supervisor sends: stop once the calls under way have ended, stop at once, or adopt a configuration."""

Problem = str | None
"""What a worker reports after its start and after each configuration: why it failed, or None."""


class Work(NamedTuple):
    """What the supervisor sends first.

    Attributes:
        config: the whole configuration.
        slot: its number; two workers never have the same one at a time.
        folder: in which the workers count.
        sockets: descriptors of the listening sockets.
    """

    config: Config
    slot: int
    folder: str
    sockets: tuple[int, ...]


class _WorkerServer(ConfiguredServer):
    """A server that follows the orders of the supervisor, and stops if that has died.

    Attributes:
        abandoned: whether the supervisor has died.
    """

    def __init__(self, app: App, config: Config, channel: "Connection[Problem, Order]") -> None:
        super().__init__(app, config, ready=self._report, stopping=app.stopping, batch=1)
        self.abandoned = False
        self._channel = channel
        self._serves = asyncio.Event()
        self._adopting: asyncio.Task[None] | None = None

    def _report(self, problem: Problem = None) -> None:
        self._serves.set()
        with contextlib.suppress(OSError):
            self._channel.send(problem)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # A service manager may signal all processes, in addition to the supervisor's order. Together they are one stop.
        loop = asyncio.get_running_loop()
        for number in signals.STOP:
            loop.add_signal_handler(number, self.drain)
        signals.release(signals.STOP)
        loop.add_reader(self._channel.fileno(), self._receive_order)
        yield

    def _receive_order(self) -> None:
        try:
            order = self._channel.recv()
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self.abandoned = True
            order = "drain"
        if isinstance(order, Config):
            self._adopting = asyncio.create_task(self._adopt(order))
        elif order == "end":
            self.end()
        else:
            self.drain()

    async def _adopt(self, config: Config) -> None:
        await self._serves.wait()  # or the start would overwrite it with its own
        try:
            await self.adopt(config)
        except ConfigError as error:
            self._report("; ".join(error.problems))
        except Exception as fault:
            self._report(_fault(fault))
        else:
            self._report()


def main(descriptor: int) -> int:
    """Serve until the supervisor orders a stop.

    Args:
        descriptor: descriptor of the connection to the supervisor.

    Returns:
        The exit status.
    """
    os.set_inheritable(descriptor, False)
    channel: Connection[Problem, Any] = Connection(descriptor)
    try:
        work = Work(*channel.recv())
    except EOFError:  # the supervisor has died
        return 1
    diagnostics.configure(work.config.log.format)
    sockets = [socket.socket(fileno=number) for number in work.sockets]
    for bound in sockets:
        bound.set_inheritable(False)
    try:
        listeners = Listeners(sockets[0], sockets[1] if len(sockets) > 1 else None)
        app = application(work.config, listeners, Metrics(work.config, work.slot))
        server = _WorkerServer(app, work.config, channel)
    except ServeError as error:
        channel.send(str(error))
        return 1
    except Exception as fault:
        channel.send(_fault(fault))
        return 1
    freeze_startup_objects()
    server.run(sockets)
    if server.abandoned:
        shutil.rmtree(work.folder, ignore_errors=True)
    return 0


def _fault(fault: Exception) -> str:
    return f"a fault of the proxy itself: {type(fault).__name__}"


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
