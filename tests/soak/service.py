"""A service for callers that mean no good: it takes bodies of any length, and has a large answer."""

import asyncio
import contextlib
import re
import socket
import threading
from collections.abc import Iterator

ANSWER = 20 << 20
"""Bytes of the answer to ``/big``."""

RUN = b'{"id":"1","slug":"7","status":"created","user":{"id":"u","slug":"alice"}}'


@contextlib.contextmanager
def service() -> Iterator[int]:
    """A service that answers with a run, or with `ANSWER` bytes to ``/big``; its port."""
    loop = asyncio.new_event_loop()
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    server = loop.run_until_complete(asyncio.start_server(_serve, sock=listener))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, EOFError, asyncio.IncompleteReadError):
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            await reader.readexactly(int(length[1]) if length else 0)
            size = ANSWER if head.startswith(b"GET /big") else len(RUN)
            start = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % size
            writer.write(start + RUN if size == len(RUN) else start)  # in one piece, or each answer takes 40 ms
            for _ in range(size >> 16):
                writer.write(b"x" * (1 << 16))
                await writer.drain()
    writer.close()
