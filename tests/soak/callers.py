"""The callers of a soak, many at once: some are slow, some hang up, or call again, or send what is wrong."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from tests.soak.plan import Call, retry_of

CALLERS = 64
"""How many call at once."""

PATIENCE = 60.0
"""Seconds after which a caller gives a whole call up, which is a fault."""


class Seen(NamedTuple):
    """What a caller saw.

    Attributes:
        request_id: that the answer names.
        run: slug of the run in the answer.
        trigger_status: what the answer says of it.
        whole: the answer did not break off.
    """

    status: int
    request_id: str | None
    run: str | None
    trigger_status: str | None
    whole: bool


class _Run(msgspec.Struct):
    """A run in the legacy form, or in the successor's."""

    flux_public_id: str | None = None
    trigger_status: str | None = None
    slug: str | None = None


_decode = msgspec.json.Decoder(_Run).decode


class Load:
    """Makes calls, and keeps what came of them.

    Args:
        port: of the proxy.
        seed: of the retries.

    Attributes:
        calls: that were made, by id, retries included.
        seen: what their callers saw; nothing for who has left, or got no answer.
        problems: what went wrong for a caller who did nothing wrong.
    """

    def __init__(self, port: int, seed: int) -> None:
        self.calls: dict[str, Call] = {}
        self.seen: dict[str, Seen] = {}
        self.problems: list[str] = []
        self._port = port
        self._seed = seed

    def run(self, plans: Iterator[Call]) -> None:
        """Make these calls, as many at once as there are callers; all connections are closed afterwards."""

        async def all_at_once() -> None:
            await asyncio.gather(*(self._caller(plans) for _ in range(CALLERS)))

        asyncio.run(all_at_once())

    async def _caller(self, plans: Iterator[Call]) -> None:
        wire: _Wire | None = None
        for call in plans:
            try:
                async with asyncio.timeout(PATIENCE):
                    wire = await self._make(call, wire)
            except (OSError, EOFError, ValueError, msgspec.MsgspecError, asyncio.LimitOverrunError) as error:
                self.problems.append(f"{call.id}: its caller got no answer: {type(error).__name__}: {error}")
                wire = None
        if wire is not None:
            await wire.close()

    async def _make(self, call: Call, wire: "_Wire | None") -> "_Wire | None":
        """Make one call, over a connection that is there or a new one, and give back what can be used again."""
        self.calls[call.id] = call
        wire = wire or await _Wire.open(self._port)
        await wire.send(call)
        if call.leaves:
            await asyncio.sleep(call.pause)
            await wire.close()
            if call.manner == "calls_again":
                await self._call_again(call)
            return None
        self.seen[call.id] = seen = await wire.answer()
        if wire.ends or not call.keeps or not seen.whole:
            await wire.close()
            return None
        return wire

    async def _call_again(self, lost: Call) -> None:
        # The proxy has seen the end of a connection once it answers somebody who came later.
        wire = await _Wire.open(self._port)
        await wire.write(b"GET /-/healthz HTTP/1.1\r\nHost: proxy\r\n\r\n")
        await wire.answer()
        await self._make(retry_of(self._seed, lost)._replace(keeps=False), wire)


class _Wire:
    """A connection to the proxy.

    Attributes:
        ends: no other call may follow.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.ends = False

    @classmethod
    async def open(cls, port: int) -> "_Wire":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def send(self, call: Call) -> None:
        """Send a call in its manner."""
        data = _head(call) + _framed(call)
        match call.manner:
            case "sends_slowly":
                for part in (data[:30], data[30:-10], data[-10:]):
                    await self.write(part)
                    await asyncio.sleep(call.pause)
            case "breaks_off":
                await self.write(data[:-10])
            case _:
                await self.write(data)
        if call.manner == "half_closes":
            self._writer.write_eof()
            self.ends = True

    async def answer(self) -> Seen:
        """Read an answer, be it cut off.

        Raises:
            EOFError: there is not even a head.
        """
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        self.ends = self.ends or fields.get("connection") == "close"
        body = await self._body(fields)
        run = _decode(body) if body and fields.get("content-type") == "application/json" else _Run()
        return Seen(
            int(lines[0].split()[1]),
            fields.get("x-request-id"),
            run.flux_public_id or run.slug,
            run.trigger_status,
            whole=body is not None,
        )

    async def _body(self, fields: dict[str, str]) -> bytes | None:
        """The whole body, or None where it is cut off."""
        try:
            if "content-length" in fields:
                return await self._reader.readexactly(int(fields["content-length"]))
            body = b""
            while size := int(await self._reader.readuntil(b"\r\n"), 16):
                body += (await self._reader.readexactly(size + 2))[:-2]
            await self._reader.readexactly(2)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        return body


def _head(call: Call) -> bytes:
    framing = "Transfer-Encoding: chunked" if call.chunked else f"Content-Length: {len(call.body)}"
    return (
        f"{call.kind.method} {call.target} HTTP/1.1\r\nHost: proxy\r\nAuthorization: Bearer {call.token}\r\n"
        f"User-Agent: soak/1.0\r\nX-Request-ID: {call.id}\r\n{framing}\r\n\r\n"
    ).encode()


def _framed(call: Call) -> bytes:
    if not call.chunked:
        return call.body
    cut = len(call.body) // 2
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (call.body[:cut], call.body[cut:], b""))
