"""No address alone can use up the proxy, and a company's CI behind one address is not refused."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from proxy import config
from proxy.gateway.server import protocol
from tests.deploy.test_nginx import NAME, TEXT, Front, fronted
from tests.harness import TRIGGER, Answer, Wire, held, until


def is_refused(answer: Answer) -> bool:
    """Whether nginx refuses a call as the service's schema wants it: nobody takes it for a run."""
    if answer.status != 429:
        return False
    error = answer.json()
    assert set(error) == {"error_code", "message", "request_id", "details"}
    assert (error["error_code"], error["details"]) == ("TooManyCalls", {"run_started": "no"})
    assert answer.header("content-type") == "application/json"
    assert answer.header("retry-after") == "1"
    return True


def from_elsewhere(front: Front) -> int:
    with Wire(front.connect("127.0.0.3")) as wire:
        wire.send(f"POST {TRIGGER} HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        return wire.answer()[0].status


def test_an_address_that_calls_too_often_is_refused_and_no_other(tmp_path: Path) -> None:
    with fronted(tmp_path, {"rate=300r/s": "rate=1r/m", "burst=3000": "burst=2"}) as front:
        answers = [front.call() for _ in range(5)]
        assert [is_refused(answer) for answer in answers] == [False, False, False, True, True]
        assert from_elsewhere(front) == 200
        assert len(front.upstream.received) == 4


def test_an_address_with_too_many_calls_under_way_is_refused_and_no_other(tmp_path: Path) -> None:
    release = threading.Event()
    with fronted(tmp_path, {"trigger_shim_calls 512": "trigger_shim_calls 1"}) as front, ThreadPoolExecutor(2) as calls:
        front.upstream.script = held(release)
        first = calls.submit(front.call)
        until(lambda: front.upstream.received)
        assert is_refused(front.call())
        other = calls.submit(from_elsewhere, front)
        until(lambda: len(front.upstream.received) == 2)
        release.set()
        assert (first.result().status, other.result()) == (200, 200)
        assert front.call().status == 200


def test_a_hundred_jobs_behind_one_address_are_not_refused(tmp_path: Path) -> None:
    with fronted(tmp_path) as front, ThreadPoolExecutor(100) as jobs:
        statuses = list(jobs.map(lambda _: front.call().status, range(400)))

    assert statuses == [200] * 400


def test_one_address_cannot_have_all_places_of_the_proxy() -> None:
    found = re.search(r"^    limit_conn \w+ (\d+);", TEXT, re.MULTILINE)
    assert found is not None
    assert int(found[1]) <= config.load(None, {}).limits.in_flight // 2


def test_nginx_waits_for_callers_as_long_as_the_proxy_does() -> None:
    assert f"client_header_timeout {protocol.HEAD_TIMEOUT:g}s;" in TEXT
    assert f"client_body_timeout {protocol.BODY_TIMEOUT:g}s;" in TEXT
