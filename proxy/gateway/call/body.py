"""Reads the body of a call.

The loops delete each part before they wait for the next, or each slow caller would keep up to 256 KiB in memory.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from starlette.types import Message, Receive

from proxy import errors
from proxy.gateway.buffered import UNCOUNTED, Held

WHOLE_BODY_TIMEOUT = 30.0
"""Seconds for the whole body of a call that starts a run."""


FORWARDED_FROM = 64 << 10
"""Bytes of a body that must have arrived, unless it is complete, before the call takes a connection to the service."""


async def iter_body(receive: Receive, held: Held, first: Message | None = None) -> AsyncIterator[bytes]:
    """The body of a call, as it arrives, after a first message that was received already.

    Raises:
        errors.InvalidBody: the caller disconnected before the end.
        errors.ProxyError: the rest is refused.
    """
    more = True
    while more:
        message, first = first or await receive(), None
        if message["type"] == "http.disconnect":
            if held.problem is not None:
                raise held.problem()
            raise errors.InvalidBody("The connection ended before the body was complete.")
        more = message.get("more_body", False)
        yield message.pop("body", b"")


async def begun_body(receive: Receive, held: Held) -> AsyncIterator[bytes]:
    """The body of a call, once it is complete or `FORWARDED_FROM` bytes have arrived; the rest comes as it arrives.

    Raises:
        errors.ProxyError: as `iter_body`, also while the body is read.
    """
    parts = iter_body(receive, held, poll_receive(receive))
    async for part in parts:
        if held.add(part) >= FORWARDED_FROM:
            break
        del part
    return _from_begin(parts, held)


async def _from_begin(rest: AsyncIterator[bytes], held: Held) -> AsyncIterator[bytes]:
    begin = held.take()
    held.keep(0)  # raises if the request was refused while it waited for a connection to the service
    yield begin
    del begin
    async for part in rest:
        yield part
        del part


async def read_body(receive: Receive, held: Held, declared: bytes | None, limit: int) -> bytes:
    """The whole body of a call.

    Args:
        receive: from ASGI.
        held: counts the body until the call is over.
        declared: the value of ``Content-Length``, if any.
        limit: maximum size in bytes.

    Raises:
        errors.BodyTooLarge: the body is larger than `limit`.
        errors.RequestTimeout: it took longer than `WHOLE_BODY_TIMEOUT`.
        errors.InvalidBody: the caller disconnected before the end.
        errors.Overloaded: the body is refused because too much is held of all requests.
    """
    if declared is not None and int(declared) > limit:
        raise _too_large(limit)
    # Most bodies are here already, and a timeout would cost more than reading one.
    first = poll_receive(receive)
    if first is not None and first["type"] == "http.request" and not first.get("more_body"):
        body: bytes = first["body"]
        if len(body) > limit:
            raise _too_large(limit)
        if len(body) > UNCOUNTED:
            held.keep(len(body))
        return body
    try:
        async with asyncio.timeout(WHOLE_BODY_TIMEOUT):
            async for part in iter_body(receive, held, first):
                if held.add(part) > limit:
                    raise _too_large(limit)
                del part
    except TimeoutError:
        raise errors.RequestTimeout(f"The body took over {WHOLE_BODY_TIMEOUT:g} s.", limit="body_time") from None
    return held.take()


def _too_large(limit: int) -> errors.BodyTooLarge:
    return errors.BodyTooLarge(f"The body is over {limit} bytes.", limit="body_size")


def poll_receive(receive: Receive) -> Message | None:
    """The next message if there is one already, or None."""
    receiving: Any = receive()  # a coroutine, which ASGI calls an awaitable
    try:
        receiving.send(None)
    except StopIteration as stop:
        message: Message = stop.value
        return message
    receiving.close()
    return None
