"""How many calls may be in progress at once."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.proxy import HEAD, TRIGGER, proxy_for, watched
from tests.support.scrape import Scrape
from tests.support.upstream import Upstream, held, reply
from tests.support.waiting import until

OTHER = "/repos/acme/shop/cicd/runs"

LISTED = "/acme/shop/cicd/runs"


def test_more_calls_than_allowed_are_turned_away_and_recorded(upstream: Upstream, tmp_path: Path) -> None:
    release = threading.Event()
    upstream.script = held(release)
    with proxy_for(upstream.url, tmp_path, limits={"in_flight": 1}) as proxy:
        first = threading.Thread(target=proxy.call)
        first.start()
        assert upstream.arrived.wait(20)
        answer = proxy.call()
        release.set()
        first.join()
        assert proxy.call().status == 200
    assert (answer.status, answer.header("retry-after")) == (503, "1")
    assert answer.json()["error_code"] == "Overloaded"
    assert [record["outcome"] for record in proxy.records()] == ["overloaded", "forwarded", "forwarded"]


@pytest.mark.parametrize("path", [OTHER, LISTED])
def test_calls_of_other_kinds_have_as_many_places_and_connections_of_their_own(
    upstream: Upstream, tmp_path: Path, path: str
) -> None:
    release = threading.Event()
    one = {"url": upstream.url, "max_connections": 1}
    with (
        watched(upstream.url, tmp_path, limits={"in_flight": 1}, upstream=one) as (proxy, admin),
        ThreadPoolExecutor() as callers,
    ):
        for held_path, held_method, free_path, free_method in (
            (TRIGGER, "POST", path, "GET"),
            (path, "GET", TRIGGER, "POST"),
        ):
            release.clear()
            upstream.script = held(release)
            count = len(upstream.received)
            first = callers.submit(proxy.call, held_path, method=held_method, body=None)
            until(lambda count=count: len(upstream.received) == count + 1)  # type: ignore[misc]
            refused = proxy.call(held_path, method=held_method, body=None)
            assert (refused.status, refused.header("retry-after")) == (503, "1")
            assert refused.json()["error_code"] == "Overloaded"
            assert admin.call("/healthz", None, method="GET").status == 200
            assert Scrape(admin).samples
            upstream.script = reply()
            assert proxy.call(free_path, method=free_method, body=None).status == 200
            release.set()
            assert first.result(20).status == 200
        overloaded = Counter(record["endpoint"] for record in proxy.records() if record["outcome"] == "overloaded")
        assert overloaded == ({"trigger": 1} if path == OTHER else {"trigger": 1, "list_runs": 1})
        assert sum(value for (_, outcome, _), value in Scrape(admin).calls().items() if outcome == "overloaded") == 2


def test_a_body_that_comes_slowly_takes_no_place(upstream: Upstream, tmp_path: Path) -> None:
    with proxy_for(upstream.url, tmp_path, limits={"in_flight": 1}) as proxy:
        slow = proxy.wire(f"{HEAD}Content-Length: 2\r\n\r\n{{".encode())
        assert proxy.call().status == 200
        slow.send(b"}")
        assert slow.answer().status == 200
        slow.close()
