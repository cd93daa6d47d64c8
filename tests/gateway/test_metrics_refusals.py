"""Each call that a limit refuses is counted under the name of that limit."""

from pathlib import Path

import pytest

from tests.support.proxy import HEAD, watched
from tests.support.scrape import Scrape
from tests.support.upstream import Upstream

LONG_PATH = f"POST /acme/shop/ci_workflows/{'x' * 9000}/trigger HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("limit", "request_", "status"),
    [
        ("head_size", b"GET /x HTTP/1.1\r\nHost: h\r\nX: " + b"x" * (65 << 10), 431),
        ("head_size", b"GET /x HTTP/1.1\r\nHost: h\r\n" + b"X: 1\r\n" * 300 + b"\r\n", 431),
        ("path_size", LONG_PATH.encode(), 414),
        ("body_size", HEAD.encode() + b"Content-Length: 2000000\r\n\r\n", 413),
    ],
    ids=["head", "headers", "path", "body"],
)
def test_a_refusal_is_counted_once(
    upstream: Upstream, tmp_path: Path, limit: str, request_: bytes, status: int
) -> None:
    with watched(upstream.url, tmp_path) as (proxy, admin):
        with proxy.wire(request_) as caller:
            assert caller.answer()[0].status == status
        assert Scrape(admin).value("refusals_total", limit=limit) == 1
