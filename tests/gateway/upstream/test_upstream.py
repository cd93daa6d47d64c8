import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest

from proxy import config, errors
from proxy.gateway.upstream.upstream import Answer, Upstream
from tests.support.proxy import proxy_for
from tests.support.upstream import RUN
from tests.support.upstream import Upstream as RealUpstream


def subclasses(kind: type[Exception]) -> Iterator[type[Exception]]:
    for child in kind.__subclasses__():
        if child.__module__ == "httpx":
            yield child
        yield from subclasses(child)


def upstream_with(transport: httpx.AsyncBaseTransport, timeout: float) -> Upstream:
    return Upstream(config.Upstream(url="http://upstream.example/base", timeout=timeout), transport)


def post(transport: httpx.AsyncBaseTransport, timeout: float = 60) -> Answer:
    return asyncio.run(upstream_with(transport, timeout).post(b"/repos/a/b/cicd/runs", [], b"{}"))


def stream(
    transport: httpx.AsyncBaseTransport, timeout: float = 60, body: AsyncIterator[bytes] | None = None
) -> Answer:
    async def whole() -> Answer:
        headers = [(b"X-A", b"1")]
        async with upstream_with(transport, timeout).stream("PURGE", b"/x%2F?", headers, body) as answer:
            return Answer(answer.status, answer.headers, b"".join([piece async for piece in answer.body]))

    return asyncio.run(whole())


NOT_SENT = {"ConnectTimeout", "ConnectError", "PoolTimeout", "UnsupportedProtocol", "ProxyError"}
EXPECTED = {
    **dict.fromkeys(NOT_SENT, errors.Unreachable),
    "ReadTimeout": errors.Timeout,
    "WriteTimeout": errors.Timeout,
    "ReadError": errors.ConnectionLost,
    "WriteError": errors.ConnectionLost,
    "CloseError": errors.ConnectionLost,
    "LocalProtocolError": errors.InternalError,
    "RemoteProtocolError": errors.InvalidAnswer,
    "DecodingError": errors.InvalidAnswer,
    "TooManyRedirects": errors.InvalidAnswer,
}


@pytest.mark.parametrize("send", [post, stream])
@pytest.mark.parametrize("kind", sorted(subclasses(httpx.RequestError), key=str), ids=lambda kind: kind.__name__)
def test_every_error_of_the_transport_has_its_place(
    send: Callable[[httpx.AsyncBaseTransport], Answer], kind: type[Exception]
) -> None:
    if kind.__subclasses__():
        return

    def fail(_request: httpx.Request) -> httpx.Response:
        raise kind("Illegal header value b'Bearer secret'")

    with pytest.raises(errors.ProxyError) as caught:
        send(httpx.MockTransport(fail))
    assert type(caught.value) is EXPECTED[kind.__name__]
    assert "secret" not in caught.value.message
    sent = kind.__name__ not in NOT_SENT | {"LocalProtocolError"}
    assert caught.value.run_started == ("unknown" if sent else "no")


def test_the_target_is_the_configured_base_and_the_path_byte_for_byte() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, stream=Chunks(RUN))

    assert post(httpx.MockTransport(answer)).body == RUN
    assert seen[0].extensions["target"] == b"/base/repos/a/b/cicd/runs"
    assert seen[0].extensions["timeout"] == {"connect": 5, "pool": 5, "read": 60, "write": 60}
    assert seen[0].url == "http://upstream.example/"
    assert seen[0].headers["host"] == "upstream.example"


def test_what_is_passed_on_is_the_request_as_it_came_below_the_configured_base() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(218, headers=[(b"X-B", b"\xff"), (b"x-b", b"")], stream=Chunks(b"a", b"", b"b"))

    assert stream(httpx.MockTransport(answer)) == Answer(218, [(b"X-B", b"\xff"), (b"x-b", b"")], b"ab")
    assert (seen[0].method, seen[0].extensions["target"]) == ("PURGE", b"/base/x%2F?")
    assert seen[0].headers.raw == [(b"host", b"upstream.example"), (b"X-A", b"1")]


class Chunks(httpx.AsyncByteStream):
    def __init__(self, *chunks: bytes, endless: bool = False) -> None:
        self.chunks = chunks
        self.endless = endless
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk
        while self.endless:
            await asyncio.sleep(0.001)
            yield b" "

    async def aclose(self) -> None:
        self.closed = True


def test_an_upstream_that_drips_is_cut_off_at_the_deadline_of_the_whole_exchange() -> None:
    stream = Chunks(endless=True)
    with pytest.raises(errors.Timeout) as caught:
        post(httpx.MockTransport(lambda _: httpx.Response(200, stream=stream)), timeout=0.05)
    assert caught.value.upstream_status == 200
    assert stream.closed


def test_an_endless_answer_is_read_no_further_than_the_limit() -> None:
    stream = Chunks(*[bytes(1 << 20)] * 5, endless=True)
    with pytest.raises(errors.InvalidAnswer):
        post(httpx.MockTransport(lambda _: httpx.Response(200, stream=stream)))
    assert stream.closed


def test_the_settings_of_the_environment_are_not_looked_at(
    upstream: RealUpstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://user:password@127.0.0.1:1")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login user password secret")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with proxy_for(upstream.url, tmp_path) as proxy:
        assert proxy.call(headers={"Authorization": ""}).status == 200
    [request] = upstream.received
    assert request.all("authorization") == [""]


def test_an_upstream_that_rests_in_its_answer_is_given_up_with_the_status_that_it_began_with() -> None:
    rests = Rests()
    with pytest.raises(errors.Timeout) as caught:
        stream(httpx.MockTransport(lambda _: httpx.Response(206, stream=rests)), timeout=0.05)
    assert caught.value.upstream_status == 206
    assert rests.closed


class Rests(Chunks):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.Event().wait()


def test_an_error_of_the_callers_body_is_the_errors_of_the_call() -> None:
    async def breaks_off() -> AsyncIterator[bytes]:
        yield b"a"
        raise errors.InvalidBody("The body broke off.")

    async def reads(request: httpx.Request) -> httpx.Response:
        await request.aread()
        return httpx.Response(200)

    with pytest.raises(errors.InvalidBody):
        stream(httpx.MockTransport(reads), body=breaks_off())


def test_a_block_that_is_left_early_closes_the_answer() -> None:
    endless = Chunks(endless=True)

    async def leave() -> None:
        transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=endless))
        async with upstream_with(transport, 60).stream("GET", b"/", [], None):
            raise LookupError

    with pytest.raises(LookupError):
        asyncio.run(leave())
    assert endless.closed


def test_its_transport_is_closed_once() -> None:
    closed: list[bool] = []

    class Closes(httpx.MockTransport):
        async def aclose(self) -> None:
            closed.append(True)

    async def test() -> None:
        async with upstream_with(Closes(lambda _: httpx.Response(200)), 60):
            assert not closed

    asyncio.run(test())
    assert closed == [True]
