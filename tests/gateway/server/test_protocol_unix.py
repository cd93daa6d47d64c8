"""Callers that come over a Unix socket, which has no addresses."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.proxy import Proxy, proxy_for, watched
from tests.support.scrape import Scrape
from tests.support.upstream import Upstream
from tests.support.waiting import until


@pytest.fixture
def proxy(upstream: Upstream, tmp_path: Path) -> Iterator[Proxy]:
    # No network is trusted: that concerns addresses only.
    with proxy_for(
        upstream.url, tmp_path, listen=f"unix:{tmp_path}/socket", callers={"trusted_proxies": []}
    ) as running:
        yield running


@pytest.mark.parametrize(
    ("sent", "client_ip", "forwarded"),
    [
        (None, None, "unknown"),
        ("198.51.100.7", "198.51.100.7", "198.51.100.7, unknown"),
        ("203.0.113.66, 198.51.100.7", "198.51.100.7", "203.0.113.66, 198.51.100.7, unknown"),
        ("unix", None, "unix, unknown"),
    ],
)
def test_what_it_says_of_who_called_is_believed(
    upstream: Upstream, proxy: Proxy, sent: str | None, client_ip: str | None, forwarded: str
) -> None:
    assert proxy.call(headers={"X-Forwarded-For": sent} if sent is not None else None).status == 200
    [record] = proxy.records()
    assert record.get("client_ip") == client_ip
    assert upstream.received[0].all("X-Forwarded-For") == [forwarded]


def test_connections_are_told_apart_by_the_path_of_their_socket(upstream: Upstream, tmp_path: Path) -> None:
    where = {"listen": f"unix:{tmp_path}/socket", "admin": f"unix:{tmp_path}/admin"}
    with watched(upstream.url, tmp_path, None, **where) as (proxy, admin), proxy.connect():
        until(lambda: Scrape(admin).value("connections") == 1)
        assert proxy.call("/metrics", None, None, "GET").status == 200
        assert upstream.received[-1].target == "/metrics"  # it was passed through
