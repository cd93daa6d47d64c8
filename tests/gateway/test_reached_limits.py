import threading
from pathlib import Path
from typing import get_args

import pytest

from proxy.errors import Limit
from proxy.gateway.reached_limits import CALM, ReachedLimits
from tests.support.proxy import proxy_for
from tests.support.upstream import Upstream, held

REACHED = "trigger-shim: warning: limit reached key={}: calls are refused; raise it, or see why there are so many"


def test_a_limit_is_told_of_once_and_again_when_it_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    now, counted = [0.0], list[Limit]()

    def said() -> list[str]:
        limits.update()
        return capsys.readouterr().err.splitlines()

    limits = ReachedLimits(counted.append, lambda: now[0])
    assert said() == []
    for _ in range(3):
        limits.refused("in_flight")
    limits.refused("buffered")
    assert said() == [REACHED.format("limits.in_flight"), REACHED.format("limits.buffered")]
    now[0] += CALM
    limits.refused("buffered")
    assert said() == []
    now[0] += 0.1
    assert said() == ["trigger-shim: limit no longer reached key=limits.in_flight refused_calls=3"]
    now[0] += CALM
    assert said() == ["trigger-shim: limit no longer reached key=limits.buffered refused_calls=2"]
    limits.refused("in_flight")
    assert said() == [REACHED.format("limits.in_flight")]
    assert counted == ["in_flight"] * 3 + ["buffered"] * 2 + ["in_flight"]


def test_a_caller_whose_own_call_is_refused_is_no_event(capsys: pytest.CaptureFixture[str]) -> None:
    limits = ReachedLimits(lambda _: None)
    for limit in set(get_args(Limit)) - {"in_flight", "upstream_connections", "buffered"}:
        limits.refused(limit)
    assert capsys.readouterr().err == ""


def test_calls_that_find_no_place_are_one_line(
    upstream: Upstream, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    release = threading.Event()
    upstream.script = held(release)
    with proxy_for(upstream.url, tmp_path, limits={"in_flight": 1}) as proxy:
        first = threading.Thread(target=proxy.call)
        first.start()
        assert upstream.arrived.wait(20)
        assert [proxy.call().status for _ in range(3)] == [503] * 3
        release.set()
        first.join()
    assert capsys.readouterr().err.splitlines().count(REACHED.format("limits.in_flight")) == 1


def test_bytes_that_find_no_room_are_one_line(
    upstream: Upstream, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server refuses these, not the gateway."""
    head = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n"
    limits = {"body": "16KiB", "buffered": "16KiB"}
    with proxy_for(upstream.url, tmp_path, limits=limits) as proxy:
        for _ in range(2):
            with proxy.wire(head.encode() + b"x" * 40_000) as caller:
                assert caller.answer().status == 503
    assert capsys.readouterr().err.splitlines().count(REACHED.format("limits.buffered")) == 1
