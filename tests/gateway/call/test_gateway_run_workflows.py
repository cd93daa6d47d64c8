"""The withdrawn ``POST /{org}/{repo}/cicd/runs``: as it came both ways, with a trigger's retries and record."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.proxy import TRIGGER, Proxy, proxy_for
from tests.support.upstream import RUN, Script, Upstream, closes, held, reply, sends
from tests.support.waiting import until

RUNS = "/acme/shop/cicd/runs"
BODY = b'{"workflows":[{"name":"build","values":[{"name":"env","value":"hunter2"}]}], "head":{"branch":"main"}}'
OF_THE_TRIGGER = b'{"revision":"main","workflow_revision":"main","workflow_slug":"build"}'


def started(proxy: Proxy, body: bytes = BODY, path: str = RUNS) -> Any:
    return proxy.call(path, body, {"Content-Type": "application/json"})


@contextmanager
def lost(proxy: Proxy, upstream: Upstream, path: str, body: bytes, answer: Script) -> Iterator[None]:
    """In the block, the upstream still works on a call whose caller is gone; after it, that has its record."""
    release = threading.Event()

    def script(connection: Any) -> None:
        assert release.wait(20)
        answer(connection)

    upstream.script = script
    calls, records = len(upstream.received), len(proxy.records())
    wire = proxy.wire()
    wire.send(f"POST {path} HTTP/1.1\r\nHost: proxy\r\nAuthorization: Bearer secret-token\r\n".encode())
    wire.send(b"Content-Length: %d\r\n\r\n" % len(body) + body)
    until(lambda: len(upstream.received) == calls + 1)
    wire.reset()
    proxy.has_read()
    yield
    release.set()
    until(lambda: len(proxy.records()) > records)
    upstream.script = reply()


# --- the record


def test_the_record_is_that_of_a_trigger(upstream: Upstream, proxy: Proxy) -> None:
    answer = started(proxy)

    assert (answer.status, answer.body) == (200, RUN)
    assert upstream.received[0].body == BODY
    [record] = proxy.records()
    assert (record["endpoint"], record["outcome"], record["status"]) == ("run_workflows", "forwarded", 200)
    assert (record["run"], record["run_user"], record["upstream_status"]) == ("7", "alice", 200)
    assert record["inputs"] == ["env"]
    assert record.keys().isdisjoint({"ignored_fields", "hint", "trigger_status", "workflow", "error_code"})
    assert "hunter2" not in proxy.log.read_text()


def test_the_record_says_that_a_body_is_the_triggers(upstream: Upstream, proxy: Proxy) -> None:
    assert started(proxy, OF_THE_TRIGGER).body == RUN

    assert upstream.received[0].body == OF_THE_TRIGGER
    [record] = proxy.records()
    assert record["hint"] == "trigger_body"
    assert record["ignored_fields"] == ["revision", "workflow_revision", "workflow_slug"]


def test_the_record_of_an_error_has_its_code(upstream: Upstream, proxy: Proxy) -> None:
    upstream.script = reply(409, b'{"error_code":"Conflict","details":[1]}')

    assert started(proxy).body == b'{"error_code":"Conflict","details":[1]}'

    [record] = proxy.records()
    assert (record["outcome"], record["status"], record["error_code"]) == ("upstream_error", 409, "Conflict")


# --- as it came


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe", b"revision=main", b' {"a" : 1e999,\r\n"a":12345678901234567890123} ', b"[]", b"null"],
)
def test_a_body_goes_on_byte_for_byte(upstream: Upstream, proxy: Proxy, body: bytes) -> None:
    assert started(proxy, body, f"{RUNS}?a=%2F&a=1").status == 200

    [request] = upstream.received
    assert (request.target, request.body) == (f"/repos{RUNS}?a=%2F&a=1", body)


def test_the_headers_of_a_call_go_on_but_for_what_has_to_be_read_here(upstream: Upstream, proxy: Proxy) -> None:
    with proxy.wire() as wire:
        wire.send(
            f"POST {RUNS} HTTP/1.1\r\nHost: proxy\r\nContent-Type: text/x\r\nX-A: 1\r\nx-a: 2\r\nCookie: c=d\r\n"
            "Accept-Encoding: br, gzip\r\nContent-Encoding: gzip\r\nX-Request-ID: my-own\r\n"
            "Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n3\r\nefg\r\n0\r\nX-Sum: 1\r\n\r\n".encode()
        )
        head, _ = wire.answer()
    assert head.all(b"x-request-id") == [b"my-own"]
    [request] = upstream.received
    assert request.body == b"abcdefg"
    expected = {
        "content-type": ["text/x"], "x-a": ["1", "2"], "cookie": ["c=d"], "content-encoding": ["gzip"],
        "accept-encoding": ["identity"], "x-request-id": ["my-own"], "content-length": ["7"], "transfer-encoding": [],
    }  # fmt: skip
    assert {name: request.all(name) for name in expected} == expected


ANSWERS: dict[str, tuple[int, bytes, dict[str, str]]] = {
    "a run": (200, b' {"slug" : "7"}\n', {"Content-Type": "application/json; charset=utf-8", "ETag": '"a"'}),
    "created": (201, b'{"slug":"7"}', {"Location": "/repos/acme/shop/cicd/runs/7", "X-Request-ID": "theirs"}),
    "a compressed run": (200, gzip.compress(b'{"slug":"7"}'), {"Content-Encoding": "gzip"}),
    "what only the caller can read": (200, b"\x01\x02", {"Content-Encoding": "br"}),
    "broken compression": (200, b'{"slug":"7"}', {"Content-Encoding": "gzip"}),
    "no run": (200, b"<h1>Welcome</h1>", {"Content-Type": "text/html"}),
    "nothing": (200, b"", {}),
    "a redirect": (307, b"", {"Location": "/elsewhere"}),
    "a page of a load balancer": (502, b"<h1>busy</h1>", {"Content-Type": "text/html", "Retry-After": "9"}),
    "an error that is not UTF-8": (500, b'{"message":"\xff"}', {}),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_comes_back_byte_for_byte(upstream: Upstream, proxy: Proxy, name: str) -> None:
    status, body, fields = ANSWERS[name]
    upstream.script = reply(status, body, fields)

    answer = started(proxy)

    assert (answer.status, answer.body) == (status, body)
    assert {key: answer.all(key) for key in fields} == {key: [value] for key, value in fields.items()}
    assert answer.all("content-length") == [str(len(body))]
    assert len(answer.all("x-request-id")) == 1
    assert answer.header("deprecation") is not None
    [record] = proxy.records()
    assert record["status"] == record["upstream_status"] == status
    assert record.get("run") == ("7" if name in {"a run", "created", "a compressed run"} else None)


def test_no_content_comes_back_as_such(upstream: Upstream, proxy: Proxy) -> None:
    upstream.script = sends(b"HTTP/1.1 204 X\r\nX-A: 1\r\n\r\n")

    answer = started(proxy)

    assert (answer.status, answer.body, answer.header("x-a")) == (204, b"", "1")


# --- what is too much


def test_a_body_over_the_limit_is_refused(upstream: Upstream, tmp_path: Path) -> None:
    with proxy_for(upstream.url, tmp_path, limits={"body": 100}) as proxy:
        assert started(proxy, b" " * 100).status == 200
        answer = started(proxy, b" " * 101)

    assert (answer.status, answer.json()["error_code"]) == (413, "BodyTooLarge")
    assert answer.json()["details"]["run_started"] == "no"
    assert len(upstream.received) == 1
    assert proxy.records()[-1]["outcome"] == "rejected"


def test_an_answer_over_the_limit_is_none(upstream: Upstream, proxy: Proxy) -> None:
    upstream.script = reply(200, b" " * (4 << 20) + RUN)

    answer = started(proxy)

    assert (answer.status, answer.json()["error_code"]) == (502, "UpstreamInvalidAnswer")
    assert answer.json()["details"]["run_started"] == "unknown"


def test_it_has_a_place_among_the_triggers(upstream: Upstream, tmp_path: Path) -> None:
    release = threading.Event()
    upstream.script = held(release)
    with proxy_for(upstream.url, tmp_path, limits={"in_flight": 1}) as proxy:
        caller = threading.Thread(target=started, args=(proxy,))
        caller.start()
        until(lambda: upstream.received)
        refused = [proxy.call(), started(proxy, b"{}")]
        release.set()
        caller.join()
        upstream.script = reply()
        assert started(proxy).status == 200

    assert [answer.status for answer in refused] == [503, 503]
    assert all(answer.json()["details"]["run_started"] == "no" for answer in refused)


# --- retries


@pytest.mark.parametrize("meanwhile", [False, True])
def test_a_retry_gets_the_run_of_its_lost_try_as_the_service_said_it(
    upstream: Upstream, proxy: Proxy, *, meanwhile: bool
) -> None:
    run = b' {"id":"", "slug":"9","status":"failed","workflows":[] ,"user":{"slug":"bob"}}'
    answers: list[Any] = []
    retry = threading.Thread(target=lambda: answers.append(started(proxy)))
    with lost(proxy, upstream, RUNS, BODY, reply(201, gzip.compress(run), {"Content-Encoding": "gzip"})):
        if meanwhile:
            retry.start()
    if not meanwhile:
        retry.start()
    retry.join(20)

    [answer] = answers
    assert (answer.status, answer.body, answer.header("content-encoding")) == (201, run, None)
    assert answer.header("content-type") == "application/json"
    assert answer.header("deprecation") is not None
    assert len(upstream.received) == 1
    first, second = proxy.records()
    assert (first["outcome"], first["client_gone"]) == ("forwarded", True)
    assert (second["outcome"], second["run"], second["run_user"]) == ("redelivered", "9", "bob")
    assert "trigger_status" not in second
    assert started(proxy).body == RUN


@pytest.mark.parametrize(
    "answer", [reply(409, b'{"error_code":"E"}'), reply(503, b"<h1>"), reply(200, b"{}"), reply(307, b""), closes()]
)
def test_a_retry_of_what_gave_no_run_is_forwarded(upstream: Upstream, proxy: Proxy, answer: Script) -> None:
    with lost(proxy, upstream, RUNS, BODY, answer):
        pass

    assert started(proxy).body == RUN
    assert len(upstream.received) == 2


@pytest.mark.parametrize(
    ("first", "second"), [(RUNS, TRIGGER), (TRIGGER, RUNS), (RUNS, f"{RUNS}?a=1"), (RUNS, f"/repos{RUNS}")]
)
def test_no_call_gets_the_run_of_another_call(upstream: Upstream, proxy: Proxy, first: str, second: str) -> None:
    with lost(proxy, upstream, first, b"{}", reply()):
        pass

    answer = proxy.call(second, b"{}")

    assert ("flux_id" in answer.json()) == (second == TRIGGER)
    assert len(upstream.received) == 2
    assert answer.json().get("trigger_status") in {None, "created"}


def test_without_a_window_every_call_starts_a_run(upstream: Upstream, tmp_path: Path) -> None:
    with proxy_for(upstream.url, tmp_path, limits={"retry_window": 0}) as proxy:
        with lost(proxy, upstream, RUNS, BODY, reply()):
            pass
        assert started(proxy).status == 200
    assert len(upstream.received) == 2
