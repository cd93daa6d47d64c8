"""Who is refused when, over real sockets, with a clock that the test sets."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from proxy.gateway.call import policy as terms
from tests.callers.lines import beats, call, log
from tests.harness import RUN, TRIGGER, Answer, Proxy, Upstream, proxy_for, reply, until

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
KNOWN = [
    {"name": "nightly", "owner": "team-a", "agent": "nightly/*"},
    {"name": "moved", "agent": "moved/*", "migrated": "2026-12-01T12:00:00Z"},
    {"name": "late", "agent": "late/*", "extension": "2027-06-01"},
    {"name": "welcome", "agent": "welcome/*", "exempt_from_freeze": True},
]
RUNS = "/acme/shop/cicd/runs"


class Clock:
    now = NOON

    def __call__(self) -> datetime:
        return self.now


@contextmanager
def living(upstream: Upstream, folder: Path, clock: Clock, **lifecycle: Any) -> Iterator[Proxy]:
    sections = {"callers": {"known": KNOWN}, "lifecycle": {"deprecated": "2026-01-01", **lifecycle}}
    with proxy_for(upstream.url, folder, clock, **sections) as proxy:
        yield proxy


def called(proxy: Proxy, agent: str, path: str = TRIGGER, method: str = "POST") -> Answer:
    return proxy.call(path, b"{}" if method == "POST" else None, {"User-Agent": f"{agent}/1"}, method)


def last(proxy: Proxy) -> dict[str, Any]:
    record = proxy.records()[-1]
    return {key: record.get(key) for key in ("caller", "phase", "outcome", "status", "error_code", "upstream_status")}


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


def test_what_a_refused_caller_gets_says_all_that_it_needs(upstream: Upstream, tmp_path: Path) -> None:
    path = "/acme/shop/ci_workflows/release%2Fprod/trigger"
    with living(upstream, tmp_path, Clock(), sunset="2026-12-01", documentation="https://docs.example/moving") as proxy:
        answer = called(proxy, "nightly", path)

    error = answer.json()
    successor = f"{upstream.url}/repos/acme/shop/cicd/runs"
    assert error == {
        "error_code": "EndpointWithdrawn",
        "message": f"This endpoint is withdrawn: call POST {successor} instead, "
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
    assert error["message"].startswith("This endpoint is switched off until 2026-12-01T12:00:10Z: call POST http://")
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
        "This caller has moved off this endpoint and may not come back to it: call"
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
    with living(upstream, tmp_path, Clock(), sunset="2026-12-01") as proxy, proxy.connect() as connection:
        connection.sendall(f"POST {TRIGGER} HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n".encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 410 Gone\r\n")


# --- the freeze


def before_the_freeze(folder: Path, *callers: str) -> None:
    records = [call(NOON - timedelta(days=10), caller) for caller in callers]
    (folder / "callers.jsonl").write_bytes(log(*beats(NOON - timedelta(days=20), NOON - timedelta(days=1)), *records))


def test_who_has_no_record_from_before_the_freeze_is_refused(upstream: Upstream, tmp_path: Path) -> None:
    before_the_freeze(tmp_path, "nightly")
    with living(upstream, tmp_path, Clock(), freeze="2026-12-01") as proxy:
        statuses = {agent: called(proxy, agent).status for agent in ("nightly", "late", "welcome", "stranger")}
        message = called(proxy, "late").json()["message"]

    assert statuses == {"nightly": 200, "late": 410, "welcome": 200, "stranger": 410}
    assert message.startswith("This endpoint takes no new callers: call POST ")
    assert last(proxy)["phase"] == "deprecated"


def test_a_record_from_after_the_freeze_makes_nobody_old(upstream: Upstream, tmp_path: Path) -> None:
    before_the_freeze(tmp_path, "nightly")
    with (tmp_path / "callers.jsonl").open("ab") as file:
        file.write(log(call(NOON - timedelta(hours=1), "late")))
    with living(upstream, tmp_path, Clock(), freeze="2026-12-01") as proxy:
        assert called(proxy, "late").status == 410


def test_records_count_by_the_rules_of_today(upstream: Upstream, tmp_path: Path) -> None:
    old = call(NOON - timedelta(days=10), "10.1.2.3 late/0", caller_source="address", user_agent="late/0")
    (tmp_path / "callers.jsonl").write_bytes(log(old))
    with living(upstream, tmp_path, Clock(), freeze="2026-12-01") as proxy:
        assert called(proxy, "late").status == 200


def test_where_the_log_does_not_reach_back_to_the_freeze_nobody_is_refused(
    upstream: Upstream, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with living(upstream, tmp_path, Clock(), freeze="2026-12-01") as proxy:
        assert called(proxy, "nightly").status == 200

    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("trigger-shim: warning: freeze not applied: ")
    assert line.endswith(" has no record from before 2026-12-01")


def test_a_freeze_that_is_to_come_knows_everybody_who_called_before_it(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terms, "SETTLING", timedelta())
    clock = Clock()
    freeze = NOON + timedelta(seconds=0.5)
    with living(upstream, tmp_path, clock, freeze=freeze.isoformat()) as proxy:
        assert called(proxy, "nightly").status == 200
        clock.now = freeze
        until(lambda: called(proxy, "stranger").status == 410)
        assert called(proxy, "nightly").status == 200
    assert json.loads(RUN)["slug"] == "7"
    assert upstream.script is not reply()
