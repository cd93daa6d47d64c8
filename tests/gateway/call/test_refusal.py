"""Who is refused when, over real sockets, with a clock that the test sets."""

import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from tests.gateway.call.living import NOON, RUNS, TICK, Clock, called, last, living
from tests.support.proxy import HEAD, TRIGGER
from tests.support.upstream import Upstream
from tests.support.waiting import PATIENCE


def test_after_the_sunset_every_call_is_refused_but_that_of_an_extension(upstream: Upstream, tmp_path: Path) -> None:
    clock = Clock()
    with living(upstream, tmp_path, clock, sunset="2026-12-01T12:00:00Z") as proxy:
        clock.now = NOON - TICK
        assert called(proxy, "nightly").status == 200
        clock.now = NOON
        refused, extended = called(proxy, "nightly"), called(proxy, "late")
        records = proxy.records()
        clock.now = datetime(2027, 6, 1, tzinfo=UTC)
        assert called(proxy, "late").status == 410
        clock.now = NOON - TICK  # a clock that steps back
        assert called(proxy, "nightly").status == 200

    assert (refused.status, extended.status) == (410, 200)
    assert [(record["phase"], record["outcome"]) for record in records] == [
        ("deprecated", "forwarded"),
        ("sunset", "gone"),
        ("deprecated", "forwarded"),
    ]
    assert refused.header("sunset") == "Tue, 01 Dec 2026 12:00:00 GMT"
    assert extended.header("sunset") == "Tue, 01 Jun 2027 00:00:00 GMT"
    assert len(upstream.received) == 3


def test_callers_are_told_another_address_than_that_of_the_service(upstream: Upstream, tmp_path: Path) -> None:
    clock, told = Clock(), "https://api.example/v1/repos/acme/shop/cicd/runs"
    clock.now = NOON - TICK
    with living(upstream, tmp_path, clock, sunset=NOON.isoformat(), successor_url="https://api.example/v1/") as proxy:
        forwarded, listed = called(proxy, "nightly"), called(proxy, "nightly", RUNS, "GET")
        clock.now = NOON
        refused = called(proxy, "nightly")

    for answer in (forwarded, listed, refused):
        assert f'<{told}>; rel="successor-version"' in (answer.header("link") or "")
    error = refused.json()
    assert error["details"]["successor"] == told
    assert f"call POST {told} instead" in error["message"]
    assert upstream.url not in error["message"]
    assert [request.target for request in upstream.received] == ["/repos/acme/shop/cicd/runs"] * 2


def test_what_a_refused_caller_gets_says_all_that_it_needs(upstream: Upstream, tmp_path: Path) -> None:
    path = "/acme/shop/ci_workflows/release%2Fprod/trigger"
    with living(upstream, tmp_path, Clock(), sunset="2026-12-01", documentation="https://docs.example/moving") as proxy:
        answer = called(proxy, "nightly", path)

    error = answer.json()
    successor = f"{upstream.url}/repos/acme/shop/cicd/runs"
    assert error == {
        "error_code": "EndpointWithdrawn",
        "message": f"Warning: this endpoint is withdrawn; call POST {successor} instead, "
        'with {"workflows":[{"name":"release/prod"}]}. No run was started.',
        "request_id": answer.header("x-request-id"),
        "details": {"successor": successor, "documentation": "https://docs.example/moving", "run_started": "no"},
    }
    assert answer.header("content-type") == "application/json"
    assert answer.header("cache-control") == "no-store"
    assert answer.header("retry-after") is None
    assert answer.header("proxy-status") == "trigger-shim; error=http_request_denied"
    assert answer.header("deprecation") == "@1767225600"
    assert f'<{successor}>; rel="successor-version"' in (answer.header("link") or "")
    assert last(proxy) == {
        "caller": "nightly",
        "phase": "sunset",
        "outcome": "gone",
        "status": 410,
        "error_code": "EndpointWithdrawn",
        "upstream_status": None,
    }
    assert upstream.received == []


def test_a_brownout_hits_one_caller_and_ends_by_itself(upstream: Upstream, tmp_path: Path) -> None:
    clock = Clock()
    window = {"from": "2026-12-01T12:00:00Z", "to": "2026-12-01T12:00:10Z", "callers": ["team-a"]}
    with living(upstream, tmp_path, clock, brownouts=[window]) as proxy:
        clock.now = NOON - TICK
        before = called(proxy, "nightly")
        clock.now = NOON + timedelta(seconds=2.5)
        hit, spared = called(proxy, "nightly"), called(proxy, "late")
        clock.now = NOON + timedelta(seconds=10)
        after = called(proxy, "nightly")
        records = [(record["caller"], record["phase"], record["outcome"]) for record in proxy.records()]

    assert [answer.status for answer in (before, hit, spared, after)] == [200, 410, 200, 200]
    assert hit.header("retry-after") == "8"
    assert hit.header("cache-control") == "no-store"
    error = hit.json()
    assert error["error_code"] == "EndpointBrownout"
    assert error["message"].startswith(
        "Warning: this endpoint is switched off until 2026-12-01T12:00:10Z; call POST http://"
    )
    assert error["details"]["until"] == "2026-12-01T12:00:10Z"
    assert records == [
        ("nightly", "deprecated", "forwarded"),
        ("nightly", "brownout", "brownout"),
        ("late", "deprecated", "forwarded"),
        ("nightly", "deprecated", "forwarded"),
    ]
    assert len(upstream.received) == 3


def test_who_has_moved_cannot_slip_back(upstream: Upstream, tmp_path: Path) -> None:
    clock = Clock()
    with living(upstream, tmp_path, clock) as proxy:
        clock.now = NOON - TICK
        assert called(proxy, "moved").status == 200
        clock.now = NOON
        refused = called(proxy, "moved")
        assert called(proxy, "nightly").status == 200

    assert refused.json()["message"].startswith(
        "Warning: this caller has moved off this endpoint and may not come back to it; call"
    )


@pytest.mark.parametrize(
    ("method", "path", "instead"),
    [
        ("GET", RUNS, "GET {}/repos/acme/shop/cicd/runs instead"),
        ("GET", f"{RUNS}/7?x=1", "GET {}/repos/acme/shop/cicd/runs/7 instead"),
        ("POST", RUNS, "POST {}/repos/acme/shop/cicd/runs instead"),
        ("DELETE", "/acme/shop", "DELETE {}/repos/acme/shop instead"),
        ("POST", "/repos/id:42/ci_workflows/build/trigger", "POST {}/repos/id:42/cicd/runs instead, with {{"),
    ],
)
def test_every_withdrawn_endpoint_is_refused_with_its_own_successor(
    upstream: Upstream, tmp_path: Path, method: str, path: str, instead: str
) -> None:
    with living(upstream, tmp_path, Clock(), sunset="2026-12-01") as proxy:
        answer = called(proxy, "nightly", path, method)

    assert answer.status == 410
    message = answer.json()["message"]
    assert f"call {instead.format(upstream.url)}" in message
    assert (', with {"workflows":' in message) == ("ci_workflows" in path)
    assert ("run_started" in answer.json()["details"]) == (method == "POST")
    assert upstream.received == []


def test_current_calls_go_on_after_the_sunset(upstream: Upstream, tmp_path: Path) -> None:
    with living(upstream, tmp_path, Clock(), sunset="2026-12-01") as proxy:
        assert called(proxy, "nightly", "/repos/acme/shop/cicd/runs").status == 200
        assert proxy.call("/-/healthz", None, method="GET").status == 200


def test_a_wrong_path_is_told_what_is_wrong_with_it_and_not_where_to_go(upstream: Upstream, tmp_path: Path) -> None:
    with living(upstream, tmp_path, Clock(), sunset="2026-12-01") as proxy:
        assert called(proxy, "nightly", "/acme/%2E%2E/ci_workflows/build/trigger").status == 400


def test_a_refused_call_waits_for_no_body_and_takes_no_place(upstream: Upstream, tmp_path: Path) -> None:
    with living(upstream, tmp_path, Clock(), sunset="2026-12-01") as proxy:
        caller = proxy.wire(f"{HEAD}Content-Length: 1000\r\n\r\n".encode())
        assert caller.head().line == b"HTTP/1.1 410 Gone, use POST /repos/acme/shop/cicd/runs"
        caller.close()


_LONG = "o" * 200


@pytest.mark.parametrize(
    ("path", "method", "phrase"),
    [
        (TRIGGER, "POST", "POST /v1/repos/acme/shop/cicd/runs"),
        (RUNS, "POST", "POST /v1/repos/acme/shop/cicd/runs"),
        (f"{RUNS}/7?x=1", "GET", "GET /v1/repos/acme/shop/cicd/runs/7"),
        ("/repos/id:42/ci_workflows/build/trigger", "POST", "POST /v1/repos/id:42/cicd/runs"),
        (
            "/ac%6De/%C3%A9$'(x);%22/ci_workflows/build/trigger",
            "POST",
            "POST /v1/repos/ac%6De/%C3%A9$'(x);%22/cicd/runs",
        ),
        (f"/{_LONG}/shop/ci_workflows/build/trigger", "POST", "POST /repos/{org}/{repo}/cicd/runs"),
    ],
)
def test_the_status_line_names_the_new_call(
    upstream: Upstream, tmp_path: Path, path: str, method: str, phrase: str
) -> None:
    told = "https://api.example/v1"
    with living(upstream, tmp_path, Clock(), sunset="2026-12-01", successor_url=told) as proxy:
        caller = proxy.wire(f"{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n".encode("latin-1"))
        answer = caller.answer()
        caller.close()

    assert answer.head.line == f"HTTP/1.1 410 Gone, use {phrase}".encode()
    if "{" not in phrase:
        assert answer.json()["details"]["successor"] == told + phrase.partition(" /v1")[2]


@pytest.mark.parametrize("org", ["a%0D%0AX-Evil:%201", "a%250d%250ab", "a%00b", "a%1Bb"])
def test_no_caller_can_inject_into_the_status_line(upstream: Upstream, tmp_path: Path, org: str) -> None:
    with living(upstream, tmp_path, Clock(), sunset="2026-12-01") as proxy:
        answer = called(proxy, "nightly", f"/{org}/shop/ci_workflows/build/trigger")

    assert (answer.head.line, answer.header("x-evil")) == (b"HTTP/1.1 400 Bad Request", None)


def test_tools_that_hide_the_body_print_the_new_call(upstream: Upstream, tmp_path: Path) -> None:
    with living(upstream, tmp_path, Clock(), sunset="2026-12-01") as proxy:
        url = f"http://{proxy.host}:{proxy.port}{TRIGGER}"
        with pytest.raises(requests.HTTPError, match="Gone, use POST /repos/acme/shop/cicd/runs"):
            requests.post(url, timeout=PATIENCE).raise_for_status()
        with pytest.raises(urllib.error.HTTPError, match="Gone, use POST /repos/acme/shop/cicd/runs") as raised:
            urllib.request.urlopen(url, b"")
        raised.value.close()
