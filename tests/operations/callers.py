"""Callers that keep their connections, as long as the proxy lets them."""

import asyncio
import contextlib
import random
import ssl
from collections import Counter

from tests.support.proxy import TRIGGER


class Callers:
    """Calls that are made one after another on each of some connections.

    Args:
        port: of the proxy, or of what leads to it.
        trust: for TLS.
        count: how many connections there are at a time.

    Attributes:
        sent: request IDs of the calls of which a byte was sent.
        answers: request IDs of those that were answered, by status.
        lost: request IDs of those that were not, with what happened instead.
        connections: how many were made.
        refused: how many could not be made.
    """

    def __init__(self, port: int, trust: ssl.SSLContext, count: int) -> None:
        self.sent: list[str] = []
        self.answers: dict[int, list[str]] = {}
        self.lost: dict[str, str] = {}
        self.connections = self.refused = 0
        self._port, self._trust, self._count = port, trust, count
        self._over = asyncio.Event()

    async def run(self) -> None:
        """Call until `stop`."""
        await asyncio.gather(*(self._run(number) for number in range(self._count)))

    @property
    def under_way(self) -> int:
        """How many calls have no answer yet."""
        return len(self.sent) - sum(self.statuses().values()) - len(self.lost)

    def stop(self) -> None:
        """Make no new calls."""
        self._over.set()

    async def _run(self, caller: int) -> None:
        chance, number = random.Random(caller), 0
        while not self._over.is_set():
            try:
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", self._port, ssl=self._trust, server_hostname="127.0.0.1"
                )
            except OSError:
                self.refused += 1
                await asyncio.sleep(0.01)
                continue
            self.connections += 1
            stays = True
            while stays and not self._over.is_set():
                number += 1
                stays = await self._call(f"call-{caller}-{number}", reader, writer)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._over.wait(), chance.uniform(0, 0.05))
            writer.transport.abort()
            await asyncio.sleep(0)

    async def _call(self, request_id: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Make a call, and return whether the connection can be used for another one."""
        self.sent.append(request_id)
        try:
            writer.write(
                f"POST {TRIGGER} HTTP/1.1\r\nHost: shim\r\nX-Request-ID: {request_id}\r\nUser-Agent: nightly/1\r\n"
                "Authorization: Bearer t\r\nContent-Length: 2\r\n\r\n{}".encode()
            )
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
            await reader.readexactly(int(fields["content-length"]))
        except (OSError, EOFError) as error:
            self.lost[request_id] = type(error).__name__
            return False
        self.answers.setdefault(int(head.split()[1]), []).append(request_id)
        return fields.get("connection") != "close"

    def statuses(self) -> Counter[int]:
        """How many calls were answered with each status."""
        return Counter({status: len(calls) for status, calls in self.answers.items()})
