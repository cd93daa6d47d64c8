"""The processes that share lost tries, their service, and what their callers say."""

import asyncio
import contextlib
import dataclasses
import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

from proxy.gateway.call.retries import derived_key, key_of
from tests.soak.tries_worker import FINGERPRINT_KEY, KNOWN, Order, Row
from tests.support.waiting import PATIENCE
from tests.support.wire import reset_on_close

TARGET = "/acme/shop/ci_workflows/build/trigger"
AUTHORIZATION = "Bearer secret-token"
_RETRY_KEY = derived_key(FINGERPRINT_KEY.encode())


class Service:
    """The service: it counts the runs of each try, and holds its answers until they are released.

    Attributes:
        runs: how many it has started, by the number of the try.
    """

    def __init__(self) -> None:
        self.runs: Counter[int] = Counter()
        self.url = ""
        self._arrived: dict[int, asyncio.Event] = {}
        self._released: dict[int, asyncio.Event] = {}

    def arrived(self, number: int) -> asyncio.Event:
        """Set once it has the call of a try."""
        return self._arrived.setdefault(number, asyncio.Event())

    def released(self, number: int) -> asyncio.Event:
        """Set once it may answer."""
        return self._released.setdefault(number, asyncio.Event())

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve during the block."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = "http://{}:{}".format(*server.sockets[0].getsockname())
        try:
            yield
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            while True:
                _, body = await message(reader)
                number = int(re.search(rb"try-(\d+)", body)[1])  # type: ignore[index]
                self.runs[number] += 1
                self.arrived(number).set()
                await self.released(number).wait()
                run = b'{"id":"","slug":"%d","status":"created"}' % number
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(run), run))
        writer.close()


async def message(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The status of a message, if it has one, and its body.

    Raises:
        OSError: the connection ended before.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        status = re.match(rb"HTTP/1.1 (\d+)", head)
        return int(status[1]) if status else 0, await reader.readexactly(int(length[1]) if length else 0)
    except asyncio.IncompleteReadError as error:
        raise ConnectionResetError from error


class Replica:
    """One of the processes."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.is_alive, self.instance = True, ""
        Path(order.folder).mkdir()
        self.start()

    def start(self) -> None:
        """Start it, for the first time or again."""
        command = [sys.executable, "-m", "tests.soak.tries_worker", json.dumps(dataclasses.asdict(self.order))]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)

    async def kill(self) -> None:
        """Kill it, and start it again."""
        self.is_alive = False
        await self.end()
        self.start()
        await self.ready()

    async def end(self) -> None:
        """Kill it."""
        self.process.kill()
        await asyncio.to_thread(self.process.wait)
        assert self.process.stdin is not None
        self.process.stdin.close()

    async def ready(self) -> None:
        """Wait until it serves."""
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(OSError):
                await self.known(0)
                self.is_alive = True
                return
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)

    async def known(self, number: int) -> list[Row]:
        """What it knows of a try."""
        key = key_of(_RETRY_KEY, AUTHORIZATION.encode(), TARGET.encode(), _body(number))
        _, body = await self._exchange(b"GET %b%b HTTP/1.1\r\nHost: x\r\n\r\n" % (KNOWN.encode(), key.hex().encode()))
        self.instance, *rows = json.loads(body)
        return [Row(*row) for row in rows]

    async def call(self, number: int) -> tuple[int, bytes]:
        """Make a call of a try, and return the status and the answer."""
        return await self._exchange(_call(number))

    @contextlib.asynccontextmanager
    async def lost(self, number: int, *, with_reset: bool) -> AsyncIterator[asyncio.StreamReader]:
        """Make a call whose caller hangs up at the end of the block."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.order.port)
        try:
            writer.write(_call(number))
            yield reader
            if with_reset:
                reset_on_close(writer.get_extra_info("socket"))
        finally:
            writer.close()

    async def _exchange(self, request: bytes) -> tuple[int, bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.order.port)
        try:
            writer.write(request)
            return await message(reader)
        finally:
            writer.close()


def _body(number: int) -> bytes:
    return b'{"revision":"try-%d"}' % number


def _call(number: int) -> bytes:
    body = _body(number)
    head = f"POST {TARGET} HTTP/1.1\r\nHost: x\r\nAuthorization: {AUTHORIZATION}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
