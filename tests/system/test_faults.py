"""Whatever the upstream does: what its callers get, what is recorded, and that nothing is sent twice."""

import tracemalloc
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.proxy import Proxy
from tests.support.upstream import RUN, Upstream, reply, sends
from tests.support.waiting import until
from tests.system.faults import ANSWERS, FAULTS, HEAD, RAN, SIZED, Fault, Seen, told
from tests.system.worlds import CALLS, together

STARTS_RUN = {"trigger", "started"}


def recorded(proxy: Proxy, request_id: str) -> list[tuple[Any, ...]]:
    """What the records of a call say."""
    keys = ("outcome", "status", "error_code", "upstream_status")
    return [tuple(map(record.get, keys)) for record in proxy.records() if record["request_id"] == request_id]


def expected(kind: str, seen: Seen) -> tuple[tuple[Any, ...], list[tuple[Any, ...]]]:
    """What a call is told, and what its records say."""
    started = seen.started if kind in STARTS_RUN else None
    answer = ("it broke off",) if seen.broken else (seen.status, seen.code, started, seen.error)
    return answer, [(seen.outcome, seen.status, seen.code, seen.upstream)] if kind != "passed" else []


def seen_by(kind: str, fault: Fault) -> Seen:
    """What a call of a kind gets."""
    others = fault.streamed or fault.trigger
    return fault.trigger if kind in STARTS_RUN else (fault.read or others if kind == "read" else others)


def check(proxy: Proxy, name: str, wanted: dict[str, Seen]) -> None:
    """Make calls at the same time, and see what they get."""
    answers = together(proxy, name, wanted)
    found = {kind: (told(answer), recorded(proxy, kind + name)) for kind, answer in answers.items()}
    assert found == {kind: expected(kind, seen) for kind, seen in wanted.items()}


def forwarded(upstream: Upstream, name: str) -> Counter[str]:
    """How often each call came to the upstream whole."""
    ids = [request.all("x-request-id")[0] for request in upstream.received]
    return Counter(request_id.removesuffix(name) for request_id in ids if request_id.endswith(name))


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told_and_recorded_nothing_is_sent_twice_and_the_next_calls_are_fine(
    name: str, tmp_path: Path
) -> None:
    fault = FAULTS[name]
    with fault.making(tmp_path) as (proxy, upstream, recover):
        connections, begun = upstream.connections, len(upstream.begun)

        check(proxy, "-first", {kind: seen_by(kind, fault) for kind in CALLS})
        until(lambda: len(upstream.begun) - begun >= fault.begun)
        assert upstream.connections - connections <= fault.connections
        assert max(forwarded(upstream, "-first").values(), default=0) <= 1

        recover()
        proxy.patient()
        check(proxy, "-next", dict.fromkeys(CALLS, RAN))
        assert forwarded(upstream, "-next") == dict.fromkeys(CALLS, 1)
        assert len(upstream.begun) - begun == fault.begun + len(CALLS)


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_of_the_service_becomes_what_the_tool_understands(name: str, tmp_path: Path) -> None:
    with ANSWERS[name].making(tmp_path) as (proxy, upstream, _):
        check(proxy, "", {"trigger": ANSWERS[name].trigger})
        assert forwarded(upstream, "") == {"trigger": 1}


# --- what is no fault


def chunked(trailer: bytes = b"") -> bytes:
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n%b\r\n" % (len(RUN), RUN, trailer)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (SIZED + RUN, 200),
        (chunked(trailer=b"X-Sum: 1\r\n"), 200),
        (b"HTTP/1.1 102 X\r\nX-A: a\r\n\r\nHTTP/1.1 103 X\r\nLink: </x>\r\n\r\n" + SIZED + RUN, 200),
        (b"HTTP/1.1 204 X\r\n\r\n", 502),
        (b"HTTP/1.1 204 X\r\nContent-Length: 0\r\n\r\n", 502),
        (b"HTTP/1.1 205 X\r\nContent-Length: 0\r\n\r\n", 502),
        (b"HTTP/1.1 304 X\r\n\r\n", 502),
        (b"HTTP/1.1 304 X\r\nContent-Length: 9\r\n\r\n", 502),
    ],
)
def test_an_answer_that_is_whole_leaves_its_connection_good(
    upstream: Upstream, proxy: Proxy, answer: bytes, status: int
) -> None:
    upstream.script = sends(answer)
    assert [proxy.call().status for _ in range(2)] == [status] * 2
    upstream.script = reply()
    assert proxy.call().status == 200
    assert (upstream.connections, upstream.begun) == (1, [1, 1, 1])


@pytest.mark.parametrize("surplus", [b"x", b"HTTP/1.1 200 X\r\nContent-Length: 17\r\n\r\n" + b'{"slug":"forged"}'])
@pytest.mark.parametrize(
    "answer",
    [SIZED + RUN, chunked(), b"HTTP/1.1 204 X\r\n\r\n", b"HTTP/1.1 304 X\r\n\r\n"],
    ids=lambda answer: answer[:12],
)
@pytest.mark.parametrize("kind", ["trigger", "passed"])
def test_what_follows_an_answer_reaches_nobody(
    upstream: Upstream, proxy: Proxy, kind: str, answer: bytes, surplus: bytes
) -> None:
    upstream.script = sends(answer + surplus)
    assert together(proxy, "", [kind])[kind] is not None
    upstream.script = reply()
    check(proxy, "-next", {kind: RAN})
    assert upstream.begun == [1, 2]


def test_an_answer_that_becomes_large_takes_little_memory(upstream: Upstream, proxy: Proxy) -> None:
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    bomb = b"".join([packer.compress(bytes(1 << 20)) for _ in range(200)]) + packer.flush()
    upstream.script = reply(200, bomb, {"Content-Encoding": "gzip"})
    assert len(bomb) < 250_000

    tracemalloc.start()
    try:
        answer = proxy.call()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert told(answer) == (502, "UpstreamInvalidAnswer", "unknown", "http_response_body_size")
    assert peak < 20 << 20
