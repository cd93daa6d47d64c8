import asyncio

from starlette.types import Receive, Scope, Send

from proxy.gateway.delivery import Delivery
from proxy.gateway.head import EXTENSION, Head
from proxy.gateway.server.exchange import Exchange
from tests.gateway.server.in_memory import Line


def states(version: str, headers: list[tuple[bytes, bytes]], *, breaks: bool = False) -> list[str]:
    """Return the states of an exchange with a body, which the caller may break off, up to its answer."""

    async def scenario() -> list[str]:
        shown: list[str] = []

        async def app(_scope: Scope, receive: Receive, send: Send) -> None:
            message = await receive()
            shown.append(repr(exchange))
            if message["type"] == "http.request":
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                shown.append(repr(exchange))
                await send({"type": "http.response.body", "body": b"ok"})

        head = Head("POST", b"/x", b"/x", [], {}, "http", version, None, Delivery())
        scope: Scope = {"method": "POST", "http_version": version, "headers": [], "extensions": {EXTENSION: head}}
        exchange = Exchange(Line(app), scope, keep_alive=True, has_body=True)
        shown.append(repr(exchange))
        exchange.start()
        await asyncio.sleep(0)
        if breaks:
            exchange.break_off()
        else:
            exchange.feed(b"{}")
            exchange.feed_end()
            shown.append(repr(exchange))
        await asyncio.sleep(0)
        return [*shown, repr(exchange)]

    return [shown.removeprefix("<Exchange POST: ").removesuffix(">") for shown in asyncio.run(scenario())]


def test_an_exchange_shows_how_far_the_body_and_the_answer_are() -> None:
    sized = states("1.1", [(b"content-length", b"2")])

    assert sized == [
        "body ARRIVING, answer PENDING",
        "body COMPLETE, answer PENDING",
        "body RECEIVED, answer PENDING",
        "body RECEIVED, answer SIZED",
        "body RECEIVED, answer SENT",
    ]


def test_the_end_of_an_answer_without_a_length_depends_on_the_version() -> None:
    assert states("1.1", [])[-2] == "body RECEIVED, answer CHUNKED"
    assert states("1.0", [])[-2] == "body RECEIVED, answer UNTIL_CLOSE"


def test_a_body_that_is_broken_off_is_shown() -> None:
    assert states("1.1", [], breaks=True)[-1] == "body BROKEN, answer PENDING"
