import os
import socket
import threading
from pathlib import Path

import pytest

from tests.support.disks import read_only
from tests.support.proxy import HEAD, TRIGGER, Proxy, proxy_for
from tests.support.upstream import RUN, Upstream, closes, held, reply
from tests.support.waiting import PATIENCE, until


def test_the_token_goes_through_untouched(upstream: Upstream, proxy: Proxy) -> None:
    proxy.call(headers={"Authorization": "bEARER  odd==\ttoken"})
    assert upstream.received[0].all("authorization") == ["bEARER  odd==\ttoken"]


def test_no_token_is_added(upstream: Upstream, proxy: Proxy) -> None:
    with proxy.wire(f"{HEAD}Content-Length: 0\r\n\r\n".encode()) as caller:
        assert caller.answer().status == 200
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


def test_a_caller_that_waits_for_100_continue_is_told_to_go_on(proxy: Proxy) -> None:
    with proxy.wire(f"{HEAD}Content-Length: 2\r\nExpect: 100-continue\r\n\r\n".encode()) as caller:
        assert caller.head() == (b"HTTP/1.1 100 Continue", [])
        caller.send(b"{}")
        assert caller.answer().status == 200


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


def test_a_call_of_no_withdrawn_endpoint_passes_through_and_is_not_recorded(upstream: Upstream, proxy: Proxy) -> None:
    answer = proxy.call(TRIGGER, method="GET", body=None)
    assert (answer.status, answer.body) == (200, RUN)
    assert answer.header("deprecation") is None
    assert upstream.received[0].target == TRIGGER
    assert proxy.records() == []


def test_heartbeats_say_that_the_log_is_being_kept(upstream: Upstream, tmp_path: Path) -> None:
    with proxy_for(upstream.url, tmp_path, callers={"heartbeat": 0.01}) as proxy:
        until(lambda: len(proxy.events()) >= 4)
    beats = proxy.events()
    assert {beat["event"] for beat in beats} == {"heartbeat"}
    assert [beat["at"] for beat in (beats[0], beats[-1])] == ["start", "stop"]
    assert {beat["at"] for beat in beats[1:-1]} == {"interval"}
    assert {(beat["schema"], beat["interval"]) for beat in beats} == {(1, 0.01)}


def test_records_and_heartbeats_name_the_process_that_wrote_them(proxy: Proxy) -> None:
    proxy.call()
    start, record = proxy.events()
    assert record["instance"] == start["instance"] == f"{socket.gethostname()}:{os.getpid()}"


def test_a_heartbeat_says_how_many_records_were_lost_since_the_last(
    upstream: Upstream, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    with proxy_for(upstream.url, folder) as proxy:
        proxy.log.rename(tmp_path / "rotated")
        with read_only(folder):
            proxy.call()
            beat(proxy)  # which is lost, too
            proxy.call()
        proxy.call()
        beat(proxy)
    lost = [event.get("lost", 0) for event in proxy.events() if event["event"] == "heartbeat"]
    assert lost == [2, 0]
    assert capfd.readouterr().err.count("record not written") == 3


def beat(proxy: Proxy) -> None:
    assert proxy.app is not None
    proxy.app._beat("interval")


def test_the_log_may_be_renamed_away_between_calls(proxy: Proxy) -> None:
    proxy.call()
    rotated = proxy.log.rename(proxy.log.with_suffix(".1"))
    proxy.call()
    assert len(proxy.records()) == 1
    assert len(rotated.read_text().splitlines()) == 2  # with the first heartbeat


def test_a_deadline_covers_the_whole_exchange(upstream: Upstream, tmp_path: Path) -> None:
    ended = threading.Event()

    def drips(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not ended.wait(0.02):
            connection.sendall(b" ")

    upstream.script = drips
    settings = {"timeout": 1.0, "connect_timeout": 0.9}
    with proxy_for(upstream.url, tmp_path, upstream=settings) as proxy:
        assert proxy.app is not None
        proxy.app.upstream._limits["connect"] = PATIENCE  # a slow connection is not what this is about
        answer = proxy.call()
        ended.set()
    assert (answer.status, answer.json()["error_code"]) == (504, "UpstreamTimeout")


def test_calls_wait_for_a_connection_only_so_long(upstream: Upstream, tmp_path: Path) -> None:
    release = threading.Event()
    upstream.script = held(release)
    settings = {"max_connections": 1, "connect_timeout": 1.0, "timeout": 30}
    with proxy_for(upstream.url, tmp_path, upstream=settings) as proxy:
        assert proxy.app is not None
        limits = proxy.app.upstream._limits
        seconds, limits["connect"] = limits["connect"], PATIENCE  # the first call may be slow to connect
        first = threading.Thread(target=proxy.call)
        first.start()
        assert upstream.arrived.wait(20)
        limits["connect"] = seconds
        answer = proxy.call()
        release.set()
        first.join()
    assert (answer.status, answer.json()["details"]["run_started"]) == (502, "no")
    assert len(upstream.received) == 1
