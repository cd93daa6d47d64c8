import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from proxy import config, errors
from proxy.gateway.upstream import Answer, Upstream
from proxy.values import Seconds, Url
from tests.harness import RUN, proxy_for
from tests.harness import Upstream as RealUpstream


def subclasses(kind: type[Exception]) -> Iterator[type[Exception]]:
    for child in kind.__subclasses__():
        if child.__module__ == "httpx":
            yield child
        yield from subclasses(child)


def post(transport: httpx.AsyncBaseTransport, timeout: float = 60) -> Answer:
    settings = config.Upstream(url=Url("http://upstream.example/base"), timeout=Seconds(timeout))
    return asyncio.run(Upstream(settings, transport).post("/repos/a/b/cicd/runs", [], b"{}"))


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


@pytest.mark.parametrize("kind", sorted(subclasses(httpx.RequestError), key=str), ids=lambda kind: kind.__name__)
def test_every_error_of_the_transport_has_its_place(kind: type[Exception]) -> None:
    if kind.__subclasses__():
        return

    def fail(_request: httpx.Request) -> httpx.Response:
        raise kind("Illegal header value b'Bearer secret'")

    with pytest.raises(errors.ProxyError) as caught:
        post(httpx.MockTransport(fail))
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
    assert seen[0].headers["host"] == "upstream.example"


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
