import asyncio
import threading
from collections import Counter
from pathlib import Path
from typing import get_args

import httpx
import pytest

from proxy import __version__
from proxy.errors import Outcome
from proxy.withdrawn.endpoints import ENDPOINTS
from tests.support.proxy import HEAD, TRIGGER, Proxy, watched
from tests.support.scrape import Scrape
from tests.support.upstream import RUN, Upstream, closes, held
from tests.support.waiting import until

RUNS = "/acme/shop/cicd/runs"
CURRENT = "/repos/acme/shop/cicd/runs"
TAKES_A_RETRY = {"redelivered"}
"""Outcomes that no call has by itself."""


class Acts(httpx.AsyncBaseTransport):
    """A service that does what its turn says: answers with a status, fails, or waits."""

    def __init__(self) -> None:
        self.turn: int | Exception | threading.Event = 200
        self.waits = threading.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        turn = self.turn
        if isinstance(turn, Exception):
            raise turn
        if isinstance(turn, threading.Event):
            self.waits.set()
            assert await asyncio.to_thread(turn.wait, 20)
            turn = 200
        body = RUN if turn < 400 else b'{"error_code":"E"}'
        return httpx.Response(turn, stream=httpx.ByteStream(body), request=request)


TURNS: list[tuple[int | Exception, str, str]] = [
    (200, "forwarded", "2xx"),
    (404, "upstream_error", "4xx"),
    (503, "upstream_error", "5xx"),
    (600, "upstream_error", "5xx"),
    (httpx.ReadError("x"), "upstream_error", "5xx"),
    (httpx.ConnectError("x"), "unreachable", "5xx"),
    (httpx.ReadTimeout("x"), "timeout", "5xx"),
    (RuntimeError("x"), "interrupted", "5xx"),
]


def test_metrics_and_records_agree_on_every_outcome(tmp_path: Path) -> None:
    service = Acts()
    sections = {
        "limits": {"in_flight": 1},
        "callers": {
            "log": str(tmp_path / "callers.jsonl"),
            "known": [
                {"name": "moved", "agent": "moved", "migrated": "2020-01-01"},
                {"name": "dark", "agent": "dark"},
            ],
        },
        "lifecycle": {"brownouts": [{"from": "2020-01-01", "to": "2100-01-01", "callers": "dark"}]},
    }
    with watched("http://service.example", tmp_path, service, **sections) as (proxy, admin):
        for turn, _, _ in TURNS:
            service.turn = turn
            for path, method in ((TRIGGER, "POST"), (RUNS, "GET"), (CURRENT, "GET")):
                proxy.call(path, b"{}" if method == "POST" else None, method=method)
        proxy.call(body=b"[]")
        assert proxy.call(headers={"User-Agent": "moved"}).status == 410
        assert proxy.call(headers={"User-Agent": "dark"}).status == 410
        proxy.call(CURRENT, None, {"Upgrade": "websocket", "Connection": "upgrade"}, "GET")
        service.turn = release = threading.Event()
        first = threading.Thread(target=proxy.call)
        first.start()
        assert service.waits.wait(20)
        assert proxy.call().status == 503
        release.set()
        first.join()

        counted, recorded = Scrape(admin).calls(), proxy.called()
    assert {key: value for key, value in counted.items() if key[0] != "pass_through"} == recorded
    assert {outcome for _, outcome, _ in recorded} == set(get_args(Outcome)) - TAKES_A_RETRY
    for endpoint, more in (("list_runs", []), ("pass_through", [("rejected", "5xx")])):
        expected = Counter([(outcome, status) for _, outcome, status in TURNS] + more)
        assert {key[1:]: value for key, value in counted.items() if key[0] == endpoint} == expected


def test_an_answer_that_breaks_off_is_an_error_though_it_began_well(upstream: Upstream, tmp_path: Path) -> None:
    upstream.script = closes(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")
    with watched(upstream.url, tmp_path) as (proxy, admin):
        for path in (RUNS, CURRENT):
            with proxy.wire(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode()) as caller:
                assert caller.head().status == 200
                assert caller.ended()
        until(lambda: len(Scrape(admin).calls()) == 2)
        counted = Scrape(admin).calls()
    assert set(counted) == {("list_runs", "upstream_error", "2xx"), ("pass_through", "upstream_error", "2xx")}


def test_an_answered_call_is_counted_already(upstream: Upstream, tmp_path: Path) -> None:
    with watched(upstream.url, tmp_path) as (proxy, admin):
        for count in range(1, 21):
            proxy.call()
            proxy.call(RUNS, None, method="GET")
            proxy.call(CURRENT, None, method="GET")
            scrape = Scrape(admin)
            assert set(scrape.calls().values()) == {count}
            assert scrape.value("calls_in_flight", kind="withdrawn") == 0
            assert scrape.value("calls_in_flight", kind="pass_through") == 0
            assert scrape["caller_log_records_total"] == len(proxy.events())


def test_calls_under_way_are_in_flight(upstream: Upstream, tmp_path: Path) -> None:
    release = threading.Event()
    upstream.script = held(release)
    with watched(upstream.url, tmp_path) as (proxy, admin):
        calls = [threading.Thread(target=proxy.call, args=(path,)) for path in (TRIGGER, TRIGGER, CURRENT)]
        for call in calls:
            call.start()
        until(lambda: len(upstream.received) == 3)
        scrape = Scrape(admin)
        assert scrape.value("calls_in_flight", kind="withdrawn") == 2
        assert scrape.value("calls_in_flight", kind="pass_through") == 1
        assert scrape["connections"] == 3
        release.set()
        for call in calls:
            call.join()
        until(lambda: Scrape(admin)["connections"] == 0)


def test_a_caller_that_hangs_up_is_no_longer_in_flight(upstream: Upstream, tmp_path: Path) -> None:
    with watched(upstream.url, tmp_path) as (proxy, admin):
        for head in (HEAD, HEAD.replace(TRIGGER, CURRENT)):
            with proxy.wire(f"{head}Content-Length: 20\r\n\r\n{{}}".encode()):
                until(lambda: 1 in in_flight(admin))
            until(lambda: 1 not in in_flight(admin))
        assert set(Scrape(admin).calls()) == {
            ("trigger", "rejected", "4xx"),
            ("pass_through", "rejected", "4xx"),
        }


def in_flight(admin: Proxy) -> set[float]:
    scrape = Scrape(admin)
    return {scrape.value("calls_in_flight", kind=kind) for kind in ("withdrawn", "pass_through")}


def test_a_hostile_caller_cannot_create_series(upstream: Upstream, tmp_path: Path) -> None:
    known = [{"name": 'night"ly\\', "agent": "nightly/*"}]
    callers = {"log": str(tmp_path / "callers.jsonl"), "known": known, "header": "X-Caller"}
    with watched(upstream.url, tmp_path, callers=callers) as (proxy, admin):
        proxy.call(headers={"User-Agent": "nightly/1"})
        before = set(Scrape(admin).samples)
        for index in range(20):
            name = f"evil-{index}"
            headers = {"X-Caller": name, "User-Agent": name, "X-Request-ID": name, "Authorization": f"Bearer {name}"}
            proxy.call(f"/{name}/{name}/ci_workflows/{name}/trigger", headers=headers)
        proxy.call(headers={"X-Caller": known[0]["name"]})
        assert set(Scrape(admin).samples) == before
        for method in ("GET", "PUT", "OPTIONS", "PATCH", "PROPFIND", "PURGE"):
            proxy.call("/evil/evil/evil", b"", {"X-Caller": "evil", "X-Request-ID": "evil"}, method)
        scrape = Scrape(admin)
    assert "evil" not in scrape.text
    endpoints = {endpoint.name for endpoint in ENDPOINTS} | {"pass_through"}
    for name in ("calls_total", "call_duration_seconds_count", "upstream_duration_seconds_count"):
        assert scrape.labels(name, "endpoint") == endpoints
    assert scrape.labels("calls_total", "outcome") <= set(get_args(Outcome))
    assert scrape.value("caller_calls_total", caller='night"ly\\') == 1
    assert scrape.value("caller_calls_total", caller="other") == 21
    assert scrape.labels("caller_calls_total", "caller") == {'night"ly\\', "other"}


def test_durations_are_those_of_the_records(upstream: Upstream, tmp_path: Path) -> None:
    with watched(upstream.url, tmp_path) as (proxy, admin):
        for body in (b"{}", b"{}", b"[]"):
            proxy.call(body=body)
        scrape, records = Scrape(admin), proxy.records()
    for name, field in (("call_duration_seconds", "duration_ms"), ("upstream_duration_seconds", "upstream_ms")):
        times = [record[field] / 1000 for record in records if field in record]
        assert scrape.value(f"{name}_count", endpoint="trigger") == len(times)
        assert scrape.value(f"{name}_sum", endpoint="trigger") == pytest.approx(sum(times), abs=1e-5)
        for bound in (0.005, 0.25, 60.0):
            within = sum(time <= bound for time in times)
            assert scrape.value(f"{name}_bucket", endpoint="trigger", le=str(bound)) == within
    assert scrape.value("upstream_duration_seconds_count", endpoint="trigger") == 2


def test_what_an_alert_asks_for_is_there_from_the_start(upstream: Upstream, tmp_path: Path) -> None:
    with watched(upstream.url, tmp_path) as (_, admin):
        scrape = Scrape(admin)
    assert scrape["caller_log_write_failures_total"] == 0
    assert scrape["caller_log_records_total"] == 1
    assert scrape.labels("calls_total", "outcome") == set(get_args(Outcome))
    for endpoint in ("trigger", "delete_repository", "pass_through"):
        assert scrape.value("calls_total", endpoint=endpoint, outcome="unreachable", status="5xx") == 0


def test_records_that_cannot_be_written_are_counted(upstream: Upstream, tmp_path: Path) -> None:
    callers = {"log": "/dev/full", "fingerprint_key": "a key that is given"}
    with watched(upstream.url, tmp_path, callers=callers) as (proxy, admin):
        assert proxy.call().status == 200
        scrape = Scrape(admin)
    assert scrape["caller_log_write_failures_total"] == 2  # with the first heartbeat
    assert scrape["caller_log_records_total"] == 0


def test_the_dates_of_the_withdrawal_are_gauges(upstream: Upstream, tmp_path: Path) -> None:
    dates = {"deprecated": "2026-01-01", "sunset": "2030-06-01T03:00:00+03:00"}
    with watched(upstream.url, tmp_path, lifecycle=dates) as (_, admin):
        scrape = Scrape(admin)
    assert scrape["lifecycle_deprecated_timestamp_seconds"] == 1767225600
    assert scrape["lifecycle_sunset_timestamp_seconds"] == 1906502400
    with watched(upstream.url, tmp_path, lifecycle={"deprecated": None}) as (_, admin):
        assert "trigger_shim_lifecycle" not in Scrape(admin).text


def test_the_date_from_which_a_caller_is_refused_is_a_gauge(upstream: Upstream, tmp_path: Path) -> None:
    known = [
        {"name": "plain", "agent": "plain"},
        {"name": "moved", "agent": "moved", "migrated": "2029-01-01"},
        {"name": "longer", "agent": "longer", "extension": "2031-01-01"},
        {"name": "twice", "agent": "one", "migrated": "2028-01-01"},
        {"name": "twice", "agent": "other", "extension": "2032-01-01"},
    ]
    callers = {"log": str(tmp_path / "callers.jsonl"), "known": known}
    ends = {"other": "2030", "plain": "2030", "moved": "2029", "longer": "2031", "twice": "2032"}
    with watched(upstream.url, tmp_path, callers=callers, lifecycle={"sunset": "2030-01-01"}) as (_, admin):
        assert Scrape(admin).sunsets() == {name: f"{year}-01-01" for name, year in ends.items()}
    with watched(upstream.url, tmp_path, callers=callers) as (_, admin):
        assert Scrape(admin).sunsets() == {"moved": "2029-01-01"}
    with watched(upstream.url, tmp_path) as (_, admin):
        assert Scrape(admin).sunsets() == {}


def test_the_build_and_the_process_have_metrics(upstream: Upstream, tmp_path: Path) -> None:
    with watched(upstream.url, tmp_path) as (_, admin):
        scrape = Scrape(admin)
    assert scrape.labels("build_info", "version") == {__version__}
    assert scrape["workers"] == 1
    assert scrape.samples["process_resident_memory_bytes", frozenset()] > 1 << 20
    assert scrape.text.count("\nprocess_start_time_seconds ") == 1


def test_the_format_is_the_one_that_is_asked_for(upstream: Upstream, tmp_path: Path) -> None:
    with watched(upstream.url, tmp_path) as (_, admin):
        plain = admin.call("/metrics", None, method="GET")
        openmetrics = admin.call("/metrics", None, {"Accept": "application/openmetrics-text;version=1.0.0"}, "GET")
    assert (plain.header("content-type") or "").startswith("text/plain; version=0.0.4")
    assert not plain.body.endswith(b"# EOF\n")
    assert (openmetrics.header("content-type") or "").startswith("application/openmetrics-text; version=1.0.0")
    assert openmetrics.body.endswith(b"# EOF\n")


@pytest.mark.parametrize("accept", ["application/openmetrics-text;version=x", "text/plain;version=\xff", "nonsense,;="])
def test_an_invalid_format_gets_plain_text(upstream: Upstream, tmp_path: Path, accept: str) -> None:
    with watched(upstream.url, tmp_path) as (_, admin):
        answer = admin.call("/metrics", None, {"Accept": accept}, "GET")
    assert (answer.status, answer.header("content-type")) == (200, "text/plain; version=0.0.4; charset=utf-8")


def test_each_application_counts_for_itself(upstream: Upstream, tmp_path: Path) -> None:
    with watched(upstream.url, tmp_path) as (proxy, first), watched(upstream.url, tmp_path) as (_, second):
        proxy.call()
        assert (len(Scrape(first).calls()), len(Scrape(second).calls())) == (1, 0)
