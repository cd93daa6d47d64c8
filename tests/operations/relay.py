"""A network with a delay, between callers and the proxy."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

DELAY = 0.005
"""Seconds each way."""


class Relay:
    """Passes connections on to a port, each piece of data after `DELAY`.

    Args:
        target: the port, on the loopback interface.

    Attributes:
        refused: how many connections the target has refused.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.refused = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: list[asyncio.StreamWriter] = []

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[int]:
        """Serve, and yield the port."""
        server = await asyncio.start_server(self._lead, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for writer in self._open:
                writer.transport.abort()
            await asyncio.sleep(0)

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.append(writer)
        await asyncio.sleep(DELAY)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            self.refused += 1
            writer.transport.abort()
            return
        self._open.append(far_writer)
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(self._pump(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        try:
            while data := await source.read(1 << 16):
                loop.call_later(DELAY, sink.write, data)
            await asyncio.sleep(DELAY)
            if sink.can_write_eof():
                sink.write_eof()
        except OSError:
            await asyncio.sleep(DELAY)
            sink.transport.abort()
