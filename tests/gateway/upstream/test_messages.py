import asyncio

import httpx
import pytest

from proxy import config
from proxy.gateway.upstream.messages import RawHeaders, RawRequest
from proxy.gateway.upstream.upstream import Upstream
from tests.gateway.upstream.origin import answers, pool_for, run
from tests.support.upstream import RUN
from tests.support.upstream import Upstream as Service

PAIRS = [(b"X-A", b"1"), (b"x-a", b"2"), (b"X-B", b"\xff")]
URL = httpx.URL("http://origin.example/")


def test_raw_headers_are_those_of_httpx() -> None:
    raw, ours, theirs = RawHeaders(PAIRS).raw, RawHeaders(PAIRS), httpx.Headers(PAIRS)
    assert raw == theirs.raw == PAIRS
    assert (ours["x-a"], ours.get_list("X-A"), ours.get("x-c")) == ("1, 2", ["1", "2"], None)
    assert (ours, ours.raw, ours.multi_items()) == (theirs, theirs.raw, theirs.multi_items())
    with pytest.raises(AttributeError, match="unknown"):
        _ = ours.unknown


def test_a_raw_request_has_all_that_the_constructor_of_httpx_sets() -> None:
    body = httpx.ByteStream(b"x")
    ours = RawRequest("POST", URL, RawHeaders(PAIRS), body, {"target": b"/"})
    theirs = httpx.Request("POST", URL, headers=PAIRS, stream=body, extensions={"target": b"/"})
    assert vars(ours) == vars(theirs)


def test_a_transport_of_httpx_itself_may_send_it(upstream: Service) -> None:
    async def post() -> tuple[int, bytes]:
        async with Upstream(config.Upstream(url=upstream.url), httpx.AsyncHTTPTransport()) as service:
            answer = await service.post(b"/a%2Fb?c", [(b"x-a", b"1")], b"{}")
            return answer.status, answer.body

    assert asyncio.run(post()) == (200, RUN)
    [request] = upstream.received
    assert (request.target, request.all("x-a"), request.body) == ("/a%2Fb?c", ["1"], b"{}")


def test_a_client_of_httpx_may_use_the_pool() -> None:
    answer = b"HTTP/1.1 404 X\r\nX-A: 1\r\nContent-Length: 4\r\n\r\nnull"

    async def test() -> None:
        async with pool_for(answers(answer)) as (pool, server), httpx.AsyncClient(transport=pool) as client:
            response = await client.get("http://origin.example/x")
            assert (response.status_code, response.headers["x-a"], response.json()) == (404, "1", None)
            assert server.requests == [b"GET /x HTTP/1.1"]

    run(test())
