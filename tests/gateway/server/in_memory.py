"""A connection from a caller, in memory."""

import asyncio
from typing import Any

from starlette.types import Receive, Scope, Send

from proxy.gateway.event import Event
from proxy.gateway.head import EXTENSION
from proxy.gateway.server.exchange import Exchange, ServerState
from proxy.gateway.server.protocol import Protocol


class MemoryTransport(asyncio.Transport):
    """A connection in memory, as strict as a real one."""

    def __init__(self) -> None:
        super().__init__({"sockname": ("127.0.0.1", 80), "peername": ("127.0.0.1", 81)})
        self.written = bytearray()
        self.paused = self.ended = self.closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.ended, "written after the end"
        self.written += data

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def write_eof(self) -> None:
        self.ended = True

    def can_write_eof(self) -> bool:
        return True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = True


Seen = list[tuple[str, bytes, bytes]]


async def fed(pieces: list[bytes]) -> tuple[MemoryTransport, Seen]:
    """What comes of pieces of input, each read when the one before it has had its effect."""
    seen: Seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                await send({"type": "http.response.start", "status": 400, "headers": [(b"content-length", b"0")]})
                await send({"type": "http.response.body"})
                return
            body, more = body + message["body"], message["more_body"]
        seen.append((scope["method"], scope["extensions"][EXTENSION].target, body))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    faults: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: faults.append(context))
    wire, connection = MemoryTransport(), Protocol(app, ServerState(), None)
    connection.connection_made(wire)
    for piece in pieces:
        if not wire.closing:
            connection.data_received(piece)
        for _ in range(8):
            await asyncio.sleep(0)
    for hour in range(1, 4):
        connection.enforce_timeouts(loop.time() + hour * 3600)
        await asyncio.sleep(0)
    assert wire.closing
    connection.connection_lost(None)
    await asyncio.sleep(0)
    assert faults == []
    return wire, seen


class Line:
    """A connection in memory, and the states of an exchange on it."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.loop = asyncio.get_running_loop()
        self.server_state = ServerState()
        self.transport: asyncio.Transport = MemoryTransport()
        self.writable = Event(is_set=True)

    def made_progress(self) -> None:
        pass

    def finished(self, exchange: Exchange) -> None:
        pass
