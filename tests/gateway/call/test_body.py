"""How much of a body is read, and for how long."""

import asyncio

import pytest
from starlette.types import Message

from proxy import errors
from proxy.gateway.buffered import Held
from proxy.gateway.call import body as call_body
from tests.support.proxy import HEAD, Proxy
from tests.support.upstream import Upstream
from tests.support.waiting import until


def test_a_chunked_body_is_limited_too(upstream: Upstream, proxy: Proxy) -> None:
    chunk = b"%x\r\n%b\r\n" % (1 << 20, b" " * (1 << 20))
    with proxy.wire(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode() + chunk * 2 + b"0\r\n\r\n") as caller:
        assert caller.answer().status == 413
    assert upstream.received == []


def test_a_caller_that_hangs_up_in_its_body_starts_nothing(upstream: Upstream, proxy: Proxy) -> None:
    proxy.wire(f"{HEAD}Content-Length: 20\r\n\r\n{{}}".encode()).close()
    [record] = until(proxy.records)
    assert (record["outcome"], record["client_gone"]) == ("rejected", True)
    assert upstream.received == []


def test_the_body_of_a_translated_call_has_a_time_limit_even_if_it_makes_progress(
    monkeypatch: pytest.MonkeyPatch, upstream: Upstream, proxy: Proxy
) -> None:
    monkeypatch.setattr(call_body, "WHOLE_BODY_TIMEOUT", 0.2)
    with proxy.wire(f"{HEAD}Content-Length: 999999\r\n\r\n".encode()) as connection:
        assert until(connection.drip).startswith(b"HTTP/1.1 408 ")  # of progress, and no end
    [record] = proxy.records()
    assert (record["outcome"], record["status"]) == ("rejected", 408)
    assert upstream.received == []


def test_a_body_that_is_refused_while_its_call_waits_for_a_connection_is_not_forwarded_in_part() -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": bytes(call_body.FORWARDED_FROM), "more_body": True}

    async def test() -> None:
        held = Held()
        body = await call_body.begun_body(receive, held)
        held.refuse(lambda: errors.Overloaded("There is no room."))
        with pytest.raises(errors.Overloaded):
            await anext(body)

    asyncio.run(test())
