"""Callers that do not read their answers, or drip their bodies, cannot keep all connections from others."""

from pathlib import Path

import pytest

from proxy.gateway.call.body import FORWARDED_FROM
from proxy.gateway.upstream import pool as pools
from tests.gateway.upstream.origin import LARGE, answers, begin, call, pool_for, run, until
from tests.support import waiting
from tests.support.proxy import watched
from tests.support.scrape import Scrape
from tests.support.upstream import Upstream
from tests.support.wire import Wire, dripping

UPLOAD = b"PUT /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n" + bytes(FORWARDED_FROM)


def test_a_connection_whose_answer_nobody_reads_is_closed_for_a_request_that_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pools, "STALLED", 0.0)
    monkeypatch.setattr(pools, "RELIEF", 0.01)

    async def test() -> None:
        async with pool_for(answers(LARGE), max_connections=2) as (pool, _):
            first, second = await begin(pool), await begin(pool)
            connections = [one.stream._connection for one in (first, second)]  # type: ignore[union-attr]
            await until(lambda: all(connection.paused_at is not None for connection in connections))
            connections[1].paused_at -= 1  # the other one is read less
            assert len((await call(pool)).extensions["body"]) == len(LARGE) - LARGE.index(b"\r\n\r\n") - 4
            assert ["CLOSED" in repr(connection) for connection in connections] == [False, True]
            await first.aclose()
            await second.aclose()
            await until(lambda: not pool._connections)
            assert pool._capacity == 2

    run(test())


def test_an_upload_that_drips_is_408_while_another_call_waits(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "STALLED", 0.1)
    monkeypatch.setattr(pools, "RELIEF", 0.01)
    with (
        watched("", tmp_path, upstream={"url": upstream.url, "max_connections": 1}) as (proxy, admin),
        Wire(proxy.connect()) as slow,
    ):
        slow.send(UPLOAD)
        waiting.until(lambda: upstream.begun)
        with dripping([slow.socket], 0.02):
            assert proxy.call("/x").status == 200
            assert slow.answer()[0].status == 408
        assert Scrape(admin).value("refusals_total", limit="upstream_connections") == 1
