"""An upstream that is a name: which of its addresses a call goes to, and when it goes to another one."""

import contextlib
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.gateway.upstream import pool
from tests.support.load import TRIGGERED, Load
from tests.support.proxy import Proxy, proxy_for
from tests.support.upstream import Upstream, reply
from tests.support.waiting import until
from tests.system.faults import MOVED, told
from tests.system.worlds import NAME, full, named, resolving

FIRST, SECOND = "127.0.0.1", "127.0.0.2"
DRAINS = reply(headers={"Connection": "close"})
"""The last answer on a connection of a server that is being taken away."""


@pytest.fixture
def names() -> Iterator[dict[str, list[str]]]:
    with resolving() as known:
        yield known


@contextlib.contextmanager
def at(address: str, url: str) -> Iterator[Upstream]:
    """An upstream at another address than that of a URL, on the same port."""
    with Upstream().running(bound(address, url)) as upstream:
        yield upstream


def bound(address: str, url: str) -> socket.socket:
    """A socket at an address, on the port of a URL, that refuses connections until it listens."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((address, int(url.rpartition(":")[2])))
    return made


def test_no_call_fails_while_the_service_moves(names: dict[str, list[str]], tmp_path: Path) -> None:
    with contextlib.ExitStack() as before:
        old = before.enter_context(Upstream().running())
        with at(SECOND, old.url) as new, proxy_for(named(old), tmp_path) as proxy:
            names[NAME] = [FIRST]
            load = Load(proxy, [[TRIGGERED]] * 8)
            with load.running():
                load.until_each_gets(200)
                assert new.received == []
                names[NAME] = [SECOND]
                old.script = DRAINS
                load.until_each_gets(200)
                before.close()  # it refuses from here on
                load.until_each_gets(200)
    assert new.received
    assert_each_ran_once(load, proxy, old, new)


def test_a_service_that_has_moved_is_found_even_by_a_connection_that_is_never_idle(
    names: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "LIFETIME", 0.1)
    with Upstream().running() as old, at(SECOND, old.url) as new, proxy_for(named(old), tmp_path) as proxy:
        names[NAME] = [FIRST]
        load = Load(proxy, [[TRIGGERED]])
        with load.running():
            load.until_each_gets(200)
            until(lambda: len(old.received) > old.connections)  # a connection was used twice
            names[NAME] = [SECOND]
            until(lambda: new.received)
            moved = len(old.received)
            load.until_each_gets(200)
            assert len(old.received) == moved
    assert_each_ran_once(load, proxy, old, new)


def assert_each_ran_once(load: Load, proxy: Proxy, *upstreams: Upstream) -> None:
    received = [request.all("x-request-id")[0] for upstream in upstreams for request in upstream.received]
    assert Counter(received) == dict.fromkeys(load.answers, 1)
    assert Counter(record["request_id"] for record in proxy.records()) == dict.fromkeys(load.answers, 1)
    assert {told(answer) for answer in load.answers.values()} == {
        (seen.status, None, None, None) for seen in MOVED.seen
    }
    assert {record["outcome"] for record in proxy.records()} == {seen.outcome for seen in MOVED.seen}


def test_a_service_is_found_at_the_address_that_accepts(names: dict[str, list[str]], tmp_path: Path) -> None:
    with Upstream().running() as upstream, bound(SECOND, upstream.url), proxy_for(named(upstream), tmp_path) as proxy:
        for addresses in ([SECOND, FIRST], [FIRST, SECOND]):
            names[NAME] = addresses
            upstream.script = DRAINS
            answer = proxy.call()
            assert (answer.status, answer.json()["flux_id"]) == (200, "7")
        assert upstream.begun == [1, 2]


def test_a_service_is_found_though_its_first_address_says_nothing(names: dict[str, list[str]], tmp_path: Path) -> None:
    with full() as listener:
        url = "http://{}:{}".format(*listener.getsockname())
        with at(SECOND, url) as upstream, proxy_for(url.replace(FIRST, NAME), tmp_path) as proxy:
            names[NAME] = [FIRST, SECOND]
            assert proxy.call().status == 200
            assert upstream.begun == [1]


def test_where_every_address_refuses_nothing_was_started(names: dict[str, list[str]], tmp_path: Path) -> None:
    with socket.create_server((FIRST, 0)) as listener:
        url = "http://{}:{}".format(*listener.getsockname())
        with bound(SECOND, url), proxy_for(url.replace(FIRST, NAME), tmp_path) as proxy:
            listener.close()
            names[NAME] = [FIRST, SECOND]
            answer = proxy.call()
    assert (answer.status, answer.json()["error_code"]) == (502, "UpstreamUnreachable")
    assert answer.json()["details"] == {"run_started": "no"}
    [record] = proxy.records()
    assert (record["outcome"], record["error_code"]) == ("unreachable", "UpstreamUnreachable")
