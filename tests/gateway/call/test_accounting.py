"""What is counted and recorded of a call, and when."""

import threading

import pytest

from tests.support.proxy import HEAD, Proxy
from tests.support.upstream import Upstream, held, reply, sends
from tests.support.waiting import until


def test_a_caller_that_hangs_up_does_not_stop_its_forward(upstream: Upstream, proxy: Proxy) -> None:
    release = threading.Event()
    upstream.script = held(release)
    with proxy.wire(f"{HEAD}Content-Length: 2\r\n\r\n{{}}".encode()):
        assert upstream.arrived.wait(20)
    proxy.has_read()
    release.set()
    [record] = until(proxy.records)
    assert (record["outcome"], record["run"], record["client_gone"]) == ("forwarded", "7", True)


def test_a_caller_that_stays_is_not_gone(proxy: Proxy) -> None:
    proxy.call()
    assert "client_gone" not in proxy.records()[0]


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
