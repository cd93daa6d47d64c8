import json
import socket
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from proxy import config
from proxy.gateway.app import App
from proxy.gateway.server import server
from tests.support.proxy import HEAD, TRIGGER, Proxy, proxy_for, watched
from tests.support.scrape import Scrape
from tests.support.upstream import RUN, Upstream, closes, held, reply, sends
from tests.support.waiting import until


def test_the_token_goes_through_untouched(upstream: Upstream, proxy: Proxy) -> None:
    proxy.call(headers={"Authorization": "bEARER  odd==\ttoken"})
    assert upstream.received[0].all("authorization") == ["bEARER  odd==\ttoken"]


def test_no_token_is_added(upstream: Upstream, proxy: Proxy) -> None:
    with proxy.connect() as connection:
        connection.sendall(f"{HEAD}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
        assert connection.makefile("rb").readline().split()[1] == b"200"
    assert upstream.received[0].all("authorization") == []
    assert proxy.records()[0]["caller_source"] == "address"


def test_headers_that_are_not_about_the_body_go_through(upstream: Upstream, proxy: Proxy) -> None:
    proxy.call(
        headers={"User-Agent": "legacy/1", "X-Custom": "a", "Connection": "x-drop", "X-Drop": "b", "Cookie": "c=d"}
    )
    request = upstream.received[0]
    assert (request.all("user-agent"), request.all("x-custom"), request.all("cookie")) == (["legacy/1"], ["a"], ["c=d"])
    assert request.all("x-drop") == []
    assert request.all("accept-encoding") == ["identity"]
    assert request.all("host") == [upstream.url.removeprefix("http://")]


def test_cookies_of_one_caller_do_not_reach_the_next(upstream: Upstream, proxy: Proxy) -> None:
    upstream.script = reply(headers={"Set-Cookie": "session=first; Path=/"})
    assert proxy.call().all("set-cookie") == []
    proxy.call()
    assert upstream.received[1].all("cookie") == []


@pytest.mark.parametrize("given", ["abc-123", "a" * 128, "req:1/2=3+4@5.6~7_8"])
def test_a_sane_request_id_is_kept_sent_upstream_and_returned(upstream: Upstream, proxy: Proxy, given: str) -> None:
    assert proxy.call(headers={"X-Request-ID": given}).all("x-request-id") == [given]
    assert upstream.received[0].all("x-request-id") == [given]
    assert proxy.records()[0]["request_id"] == given


@pytest.mark.parametrize("given", [None, "", "a" * 129, "two words", 'quo"te', "<b>"])
def test_any_other_request_id_is_made_anew(upstream: Upstream, proxy: Proxy, given: str | None) -> None:
    headers = {} if given is None else {"X-Request-ID": given}
    first, second = (proxy.call(headers=headers).header("x-request-id") for _ in range(2))
    assert first
    assert first not in {given, second}
    assert upstream.received[0].all("x-request-id") == [first]


def test_every_answer_announces_the_end(upstream: Upstream, tmp_path: Path) -> None:
    lifecycle = {
        "deprecated": "2026-01-01",
        "sunset": "2030-06-01T03:00:00+03:00",
        "documentation": "https://d.example/",
    }
    with proxy_for(upstream.url, tmp_path, lifecycle=lifecycle) as proxy:
        answers = [proxy.call(body=body) for body in (b"{}", b"[]", b" " * (1 << 21))]
        upstream.script = closes()
        answers.append(proxy.call())
    assert [answer.status for answer in answers] == [200, 400, 413, 502]
    for answer in answers:
        assert answer.all("deprecation") == ["@1767225600"]
        assert answer.all("sunset") == ["Sat, 01 Jun 2030 00:00:00 GMT"]
        assert answer.all("link") == [
            f'<{upstream.url}/repos/acme/shop/cicd/runs>; rel="successor-version", '
            '<https://d.example/>; rel="deprecation"; type="text/html"'
        ]


def test_where_the_path_names_no_successor_the_documentation_is_still_linked(proxy: Proxy) -> None:
    answer = proxy.call("/acme/../ci_workflows/build/trigger")
    assert answer.all("link") == [
        '<https://sourcecraft.dev/portal/docs/en/api-ref/CICD/RunWorkflows>; rel="deprecation"; type="text/html"'
    ]


def test_a_caller_that_hangs_up_does_not_stop_its_forward(upstream: Upstream, proxy: Proxy) -> None:
    release = threading.Event()
    upstream.script = held(release)
    with proxy.connect() as connection:
        connection.sendall(f"{HEAD}Content-Length: 2\r\n\r\n{{}}".encode())
        assert upstream.arrived.wait(20)
    # The proxy has seen the end of the connection once it answers somebody who came later.
    assert proxy.call("/-/healthz", method="GET", body=None).status == 200
    release.set()
    [record] = until(proxy.records)
    assert (record["outcome"], record["run"], record["client_gone"]) == ("forwarded", "7", True)


def test_a_caller_that_stays_is_not_gone(proxy: Proxy) -> None:
    proxy.call()
    assert "client_gone" not in proxy.records()[0]


def test_a_caller_that_hangs_up_in_its_body_starts_nothing(upstream: Upstream, proxy: Proxy) -> None:
    with proxy.connect() as connection:
        connection.sendall(f"{HEAD}Content-Length: 20\r\n\r\n{{}}".encode())
    [record] = until(proxy.records)
    assert (record["outcome"], record["client_gone"]) == ("rejected", True)
    assert upstream.received == []


def test_a_caller_that_waits_for_100_continue_is_told_to_go_on(proxy: Proxy) -> None:
    with proxy.connect() as connection:
        connection.sendall(f"{HEAD}Content-Length: 2\r\nExpect: 100-continue\r\n\r\n".encode())
        stream = connection.makefile("rb")
        assert stream.readline() == b"HTTP/1.1 100 Continue\r\n"
        connection.sendall(b"{}")
        assert stream.readline() == b"\r\n"
        assert stream.readline().startswith(b"HTTP/1.1 200 ")


def test_a_chunked_body_is_limited_too(upstream: Upstream, proxy: Proxy) -> None:
    with proxy.connect() as connection:
        connection.sendall(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode())
        connection.sendall((b"%x\r\n%b\r\n" % (1 << 20, b" " * (1 << 20))) * 2 + b"0\r\n\r\n")
        assert connection.makefile("rb").readline().split()[1] == b"413"
    assert upstream.received == []


def test_a_call_is_sent_once_even_where_a_reused_connection_breaks(upstream: Upstream, proxy: Proxy) -> None:
    assert proxy.call().status == 200
    upstream.script = closes()
    answer = proxy.call()
    assert (answer.status, answer.json()["details"]["run_started"]) == (502, "unknown")
    assert len(upstream.received) == 2
    upstream.script = reply()
    assert proxy.call().status == 200


def test_what_follows_an_answer_is_never_taken_for_the_next_ones(upstream: Upstream, proxy: Proxy) -> None:
    forged = b'{"slug":"forged"}'
    surplus = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(forged), forged)

    def answers_twice(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b%b" % (len(RUN), RUN, surplus))

    upstream.script = answers_twice
    assert proxy.call().json()["flux_id"] == "7"
    upstream.script = reply()
    assert proxy.call().json()["flux_id"] == "7"


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


OTHER = "/repos/acme/shop/cicd/runs"
LISTED = "/acme/shop/cicd/runs"


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
        assert overloaded == {"trigger": 1} if path == OTHER else {"trigger": 1, "list_runs": 1}
        assert sum(value for (_, outcome, _), value in Scrape(admin).calls().items() if outcome == "overloaded") == 2


def test_a_body_that_comes_slowly_takes_no_place(upstream: Upstream, tmp_path: Path) -> None:
    with proxy_for(upstream.url, tmp_path, limits={"in_flight": 1}) as proxy, proxy.connect() as slow:
        slow.sendall(f"{HEAD}Content-Length: 2\r\n\r\n{{".encode())
        assert proxy.call().status == 200
        slow.sendall(b"}")
        assert slow.makefile("rb").readline().split()[1] == b"200"


def test_a_call_of_no_withdrawn_endpoint_passes_through_and_is_not_recorded(upstream: Upstream, proxy: Proxy) -> None:
    answer = proxy.call(TRIGGER, method="GET", body=None)
    assert (answer.status, answer.body) == (200, RUN)
    assert answer.header("deprecation") is None
    assert upstream.received[0].target == TRIGGER
    assert proxy.records() == []


def test_the_record_names_the_caller_and_its_trace(proxy: Proxy) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    proxy.call(
        headers={
            "X-Forwarded-For": "198.51.100.9, 203.0.113.7, 127.0.0.2",
            "User-Agent": 'evil"\u00ff agent',
            "traceparent": f"00-{trace}-00f067aa0ba902b7-01",
        }
    )
    [record] = proxy.records()
    assert record["client_ip"] == "203.0.113.7"
    assert record["user_agent"].startswith('evil"')
    assert record["trace_id"] == trace
    assert record["caller"] == f"token:{record['token']}"
    assert (record["schema"], record["phase"]) == (1, "deprecated")
    assert record["duration_ms"] >= record["upstream_ms"] > 0


def test_nothing_secret_is_written(upstream: Upstream, proxy: Proxy, capfd: pytest.CaptureFixture[str]) -> None:
    body = b'{"input":{"values":[{"name":"password","value":"hunter2"}]}}'
    secrets = {"Authorization": "Bearer tok-SECRET", "Cookie": "session=SECRET", "Proxy-Authorization": "Basic SECRET"}
    for sent in (body, body + b"hunter2", b'{"revision":{"a":"hunter2"}}'):
        proxy.call(body=sent, headers=secrets)
    upstream.script = reply(500, b'{"error_code":"E","message":"value hunter2 is no good for tok-SECRET"}')
    proxy.call(body=body, headers=secrets)
    written = proxy.log.read_text() + "".join(capfd.readouterr())
    assert len(proxy.records()) == 4
    assert "hunter2" not in written
    assert "SECRET" not in written


def test_a_fault_of_the_proxy_itself_is_told_to_both_sides(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def fail(_request: httpx.Request) -> httpx.Response:
        raise RuntimeError("about Bearer SECRET")

    public = server.loopback()
    log = tmp_path / "callers.jsonl"
    app = App(config.load(None, {}, {"callers": {"log": str(log)}}), transport=httpx.MockTransport(fail))
    with server.background(app, public):
        host, port = public.getsockname()
        proxy = Proxy(host, port, log)
        answer = proxy.call()
    assert (answer.status, answer.json()["error_code"]) == (500, "ProxyInternalError")
    assert answer.json()["details"] == {"run_started": "unknown"}
    assert [record["outcome"] for record in proxy.records()] == ["interrupted"]
    [line] = capfd.readouterr().err.splitlines()
    assert line.startswith('trigger-shim: error: internal error during="a call" exception=RuntimeError place=')
    assert line.endswith(f" request_id={answer.json()['request_id']}")
    assert "SECRET" not in line


def test_heartbeats_say_that_the_log_is_being_kept(upstream: Upstream, tmp_path: Path) -> None:
    with proxy_for(upstream.url, tmp_path, callers={"heartbeat": 0.01}) as proxy:
        until(lambda: len(proxy.events()) >= 4)
    beats = proxy.events()
    assert {beat["event"] for beat in beats} == {"heartbeat"}
    assert [beat["at"] for beat in (beats[0], beats[-1])] == ["start", "stop"]
    assert {beat["at"] for beat in beats[1:-1]} == {"interval"}
    assert {(beat["schema"], beat["interval"]) for beat in beats} == {(1, 0.01)}


def test_the_log_may_be_renamed_away_between_calls(proxy: Proxy) -> None:
    proxy.call()
    rotated = proxy.log.rename(proxy.log.with_suffix(".1"))
    proxy.call()
    assert len(proxy.records()) == 1
    assert len(rotated.read_text().splitlines()) == 2  # with the first heartbeat


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_answered_on_both_listeners(upstream: Upstream, tmp_path: Path, path: str) -> None:
    public, admin = server.loopback(), server.loopback()
    values = {"callers": {"log": str(tmp_path / "callers.jsonl")}, "upstream": {"url": upstream.url}}
    with server.background(App(config.load(None, {}, values), admin.getsockname()[1]), public, admin):
        outside, inside = (Proxy("127.0.0.1", bound.getsockname()[1], tmp_path) for bound in (public, admin))
        assert inside.call(path, method="GET", body=None).status == 200
        assert outside.call(f"/-{path}", method="GET", body=None).status == 200
        assert inside.call().status == 404
        assert upstream.received == []
        assert outside.call(path, method="GET", body=None).body == RUN


def test_a_deadline_covers_the_whole_exchange(upstream: Upstream, tmp_path: Path) -> None:
    ended = threading.Event()

    def drips(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not ended.wait(0.02):
            connection.sendall(b" ")

    upstream.script = drips
    settings = {"timeout": 1.0, "connect_timeout": 0.9}
    with proxy_for(upstream.url, tmp_path, upstream=settings) as proxy:
        answer = proxy.call()
        ended.set()
    assert (answer.status, answer.json()["error_code"]) == (504, "UpstreamTimeout")


def test_calls_wait_for_a_connection_only_so_long(upstream: Upstream, tmp_path: Path) -> None:
    release = threading.Event()
    upstream.script = held(release)
    settings = {"max_connections": 1, "connect_timeout": 1.0, "timeout": 30}
    with proxy_for(upstream.url, tmp_path, upstream=settings) as proxy:
        first = threading.Thread(target=proxy.call)
        first.start()
        assert upstream.arrived.wait(20)
        answer = proxy.call()
        release.set()
        first.join()
    assert (answer.status, answer.json()["details"]["run_started"]) == (502, "no")
    assert len(upstream.received) == 1


def test_the_error_body_is_json_of_strings(proxy: Proxy) -> None:
    error = json.loads(proxy.call(body=b"[]").body)
    assert all(isinstance(value, str) for value in error["details"].values())


def test_a_known_caller_is_recorded_with_its_owner(upstream: Upstream, tmp_path: Path) -> None:
    known = [
        {"name": "nightly", "owner": "team-a", "repository": "acme/*", "workflow": "release/*"},
        {"name": "by id", "repository": "id:42"},
    ]
    with proxy_for(upstream.url, tmp_path, callers={"known": known, "header": "X-Caller"}) as proxy:
        proxy.call("/acme/shop/ci_workflows/release%2Fprod/trigger", headers={"X-Caller": "me"})
        proxy.call("/repos/id:42/ci_workflows/build/trigger")
        proxy.call(headers={"x-caller": "me"})
        proxy.call("/acme/shop/ci_workflows/%ff/trigger")
    named = [(record["caller"], record["caller_source"], record.get("owner")) for record in proxy.records()]
    assert named[:3] == [("nightly", "known", "team-a"), ("by id", "known", None), ("me", "header", None)]
    assert named[3][1] == "token"


def test_whoever_has_the_whole_answer_finds_its_record(upstream: Upstream, proxy: Proxy) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    bare = b"HTTP/1.1 204 No Content\r\n\r\n"
    for count, script in enumerate([reply(), sends(chunked), sends(bare), reply(404), reply(body=b"")] * 20, 1):
        upstream.script = script
        proxy.call("/acme/shop/cicd/runs", method="GET", body=None)
        assert len(proxy.records()) == count
    assert all(record["upstream_ms"] <= record["duration_ms"] for record in proxy.records())


def test_the_run_that_a_call_asks_for_is_in_its_record(proxy: Proxy) -> None:
    proxy.call("/acme/shop/cicd/runs/128/build", method="GET", body=None)
    [record] = proxy.records()
    assert (record["endpoint"], record["run"], record["workflow"]) == ("get_workflow", "128", "build")
