"""What is held of an answer whose caller does not read it."""

import asyncio

from starlette.types import Receive, Scope, Send

from proxy.gateway.delivery import Delivery
from proxy.gateway.head import EXTENSION, Head
from proxy.gateway.server.exchange import Exchange
from tests.gateway.server.in_memory import Line

START = {"type": "http.response.start", "status": 200, "headers": []}


def test_the_application_gets_no_further_while_a_piece_is_not_sent() -> None:
    async def test() -> None:
        sent: list[int] = []

        async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
            await send(START)
            for number in range(3):
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
                sent.append(number)

        head = Head("GET", b"/x", b"/x", [], {}, "http", "1.1", None, Delivery())
        scope: Scope = {"method": "GET", "http_version": "1.1", "headers": [], "extensions": {EXTENSION: head}}
        line = Line(app)
        write = line.transport.write

        def write_and_pause(data: bytes) -> None:
            write(data)
            line.writable.clear()

        line.transport.write = write_and_pause  # type: ignore[method-assign, assignment]
        Exchange(line, scope, keep_alive=True, has_body=False).start()
        for number in range(3):
            await asyncio.sleep(0)
            assert sent == list(range(number))
            line.writable.set()
            await asyncio.sleep(0)
            assert sent == list(range(number + 1))

    asyncio.run(test())
