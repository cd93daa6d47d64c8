"""Sending a response, in memory; over sockets, test_gateway_cut_off.py."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.responses import Response
from starlette.types import Message

from proxy.gateway.call.responder import ClientDisconnected, Responder
from proxy.gateway.headers import Header

LENGTH: list[Header] = [(b"content-length", b"4")]


class Caller:
    """Takes what is sent to it, up to a number of messages.

    Attributes:
        events: the types of the messages, with ``last`` where the responder said that the next one is.
    """

    def __init__(self, patience: int = 99) -> None:
        self.events: list[str] = []
        self.body = b""
        self._patience = patience

    async def send(self, message: Message) -> None:
        if len(self.events) == self._patience:
            raise OSError
        self.events.append(message["type"].removeprefix("http.response."))
        self.body += message.get("body", b"")

    async def receive(self) -> Message:
        return {"type": "http.disconnect"}

    def responder(self, method: str = "GET") -> Responder:
        return Responder({"type": "http", "method": method}, self.receive, self.send)


async def parts(*content: bytes) -> AsyncIterator[bytes]:
    for part in content:
        yield part


def streamed(caller: Caller, method: str, status: int, fields: list[Header], *content: bytes) -> None:
    asyncio.run(caller.responder(method).stream(status, fields, parts(*content), lambda: caller.events.append("last")))


@pytest.mark.parametrize(
    ("method", "status", "fields", "content", "events"),
    [
        ("GET", 200, LENGTH, [b"ab", b"cd"], ["start", "body", "body", "last", "body", "last", "body"]),
        ("GET", 200, [], [b"ab", b"cd"], ["start", "body", "body", "body", "last", "body"]),
        ("HEAD", 200, LENGTH, [], ["last", "start", "body", "last", "body"]),
        ("GET", 304, LENGTH, [], ["last", "start", "body", "last", "body"]),
    ],
    ids=["length", "no length", "HEAD", "304"],
)
def test_the_message_that_completes_a_response_is_announced(
    method: str, status: int, fields: list[Header], content: list[bytes], events: list[str]
) -> None:
    caller = Caller()
    streamed(caller, method, status, fields, *content)
    assert (caller.events, caller.body) == (events, b"".join(content))


@pytest.mark.parametrize("patience", [0, 1, 2])
def test_a_caller_that_takes_no_more_is_gone(patience: int) -> None:
    async def scenario() -> Responder:
        responder = Caller(patience).responder()
        with pytest.raises(ClientDisconnected):
            await responder.stream(200, [], parts(b"ab"), lambda: None)
        return responder

    responder = asyncio.run(scenario())
    assert (responder.client_gone, responder.status) == (True, 200)


def test_a_whole_response_sets_the_status() -> None:
    caller = Caller()
    responder = caller.responder()
    before: Any = responder.status
    asyncio.run(responder.send(Response(b"no", 418)))
    assert (before, responder.status, caller.body) == (None, 418, b"no")
