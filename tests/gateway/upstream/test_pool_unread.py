"""Callers that do not read their answers cannot keep all connections from others."""

import pytest

from proxy.gateway.upstream import pool as pools
from tests.gateway.upstream.origin import LARGE, answers, begin, call, pool_for, run, until


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
