"""Reads the body of a call."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any, cast

from starlette.types import Message, Receive

from proxy import errors

WHOLE_BODY_TIMEOUT = 30.0
"""Seconds for the whole body of a call that starts a run."""


async def iter_body(receive: Receive, first: Message | None = None) -> AsyncIterator[bytes]:
    """The body of a call, as it arrives, after a first message that was received already.

    Raises:
        errors.InvalidBody: the caller disconnected before the end.
    """
    more = True
    while more:
        message, first = first or await receive(), None
        if message["type"] == "http.disconnect":
            raise errors.InvalidBody("The connection ended before the body was complete.")
        more = message.get("more_body", False)
        yield message.get("body", b"")


async def read_body(receive: Receive, declared: bytes | None, limit: int) -> bytes:
    """The whole body of a call.

    Args:
        receive: from ASGI.
        declared: the value of ``Content-Length``, if any.
        limit: maximum size in bytes.

    Raises:
        errors.BodyTooLarge: the body is larger than `limit`.
        errors.RequestTimeout: it took longer than `WHOLE_BODY_TIMEOUT`.
        errors.InvalidBody: the caller disconnected before the end.
    """
    if declared is not None and int(declared) > limit:
        raise _too_large(limit)
    # Most bodies are here already, and a timeout would cost more than reading one.
    first = poll_receive(receive)
    if first is not None and first["type"] == "http.request" and not first.get("more_body"):
        if len(first["body"]) > limit:
            raise _too_large(limit)
        return cast("bytes", first["body"])
    body = bytearray()
    try:
        async with asyncio.timeout(WHOLE_BODY_TIMEOUT):
            async for part in iter_body(receive, first):
                body += part
                if len(body) > limit:
                    raise _too_large(limit)
    except TimeoutError:
        raise errors.RequestTimeout(f"The body took over {WHOLE_BODY_TIMEOUT:g} s.") from None
    return bytes(body)


def _too_large(limit: int) -> errors.BodyTooLarge:
    return errors.BodyTooLarge(f"The body is over {limit} bytes.")


def poll_receive(receive: Receive) -> Message | None:
    """The next message if there is one already, or None."""
    receiving = cast("Coroutine[Any, Any, Message]", receive())
    try:
        receiving.send(None)
    except StopIteration as stop:
        return cast("Message", stop.value)
    receiving.close()
    return None
