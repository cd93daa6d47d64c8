"""What a caller sends is never written, sent back or logged at a greater length than its limits allow."""

import json
from pathlib import Path

import pytest

from proxy.callers.record import MARK
from proxy.gateway.call.withdrawn_call import MAX_PATH
from tests.gateway.call.living import NOON, Clock
from tests.support.proxy import Proxy, proxy_for
from tests.support.upstream import Upstream, reply
from tests.support.wire import Wire

BEFORE, AFTER = "/acme/shop/ci_workflows/", "/trigger"
LONGEST = MAX_PATH - len(BEFORE + AFTER)
RECORD = 4608


def longest_line(proxy: Proxy) -> int:
    return max(map(len, proxy.log.read_bytes().splitlines()))


def raw(proxy: Proxy, path: str, fields: str = "") -> int:
    """The status of a call whose path no client library would send."""
    with Wire(proxy.connect()) as wire:
        wire.send(f"POST {path} HTTP/1.1\r\nHost: proxy\r\n{fields}Content-Length: 2\r\n\r\n{{}}".encode())
        return wire.answer().status


def test_a_path_of_quotes_costs_a_short_record_and_414(proxy: Proxy, upstream: Upstream) -> None:
    assert raw(proxy, BEFORE + '"' * 60_000 + AFTER) == 414

    [record] = proxy.records()
    assert (record["status"], record["error_code"], record["outcome"]) == (414, "PathTooLong", "rejected")
    assert record["path"].startswith(BEFORE + "%22")
    assert record["path"].endswith(MARK)
    assert "workflow" not in record
    assert longest_line(proxy) <= RECORD
    assert upstream.received == []


@pytest.mark.parametrize(("method", "path"), [("PATCH", "/acme/{}"), ("GET", "/acme/shop/cicd/runs/{}")])
def test_a_path_that_is_not_a_trigger_s_has_the_same_limit(
    proxy: Proxy, upstream: Upstream, method: str, path: str
) -> None:
    longest = path.format("x" * (MAX_PATH - len(path.format(""))))
    body = b"{}" if method == "PATCH" else None
    assert proxy.call(longest, body, method=method).status == 200
    refused = proxy.call(f"{longest}x", body, method=method)

    assert (refused.status, refused.json()["error_code"]) == (414, "PathTooLong")
    assert "x" * 100 not in refused.body.decode() + str(refused.headers)
    assert [record["status"] for record in proxy.records()] == [200, 414]
    assert len(upstream.received) == 1


def test_a_path_that_is_not_withdrawn_may_be_longer(proxy: Proxy, upstream: Upstream) -> None:
    assert proxy.call("/repos/acme/" + "x" * MAX_PATH, None, method="GET").status == 200
    assert len(upstream.received) == 1


@pytest.mark.parametrize("char", ["x", "%01", '"', "\\", "%F0%9F%98%80"])
def test_a_workflow_of_the_longest_name_is_called_by_it_and_recorded_with_a_mark(
    proxy: Proxy, upstream: Upstream, char: str
) -> None:
    path = BEFORE + char * (LONGEST // len(char)) + AFTER
    fields = f"User-Agent: {'a' * 4000}\r\nX-Caller: {'b' * 4000}\r\nAuthorization: Bearer {'c' * 4000}\r\n"
    assert raw(proxy, path, fields) == 200

    [name] = [workflow["name"] for workflow in json.loads(upstream.received[0].body)["workflows"]]
    [record] = proxy.records()
    assert len(name) == LONGEST // len(char)
    assert name.startswith(record["workflow"].removesuffix(MARK))
    assert record["workflow"].endswith(MARK)
    assert longest_line(proxy) <= RECORD


def test_what_the_service_says_is_cut_in_the_record_and_nowhere_else(proxy: Proxy, upstream: Upstream) -> None:
    upstream.script = reply(400, json.dumps({"error_code": "x" * 5000, "message": "m"}).encode())
    refused = proxy.call()
    upstream.script = reply(body=json.dumps({"slug": "7" * 5000, "status": "created"}).encode())
    started = proxy.call()

    assert refused.json()["error_code"] == "x" * 5000
    assert started.status == 200
    first, second = proxy.records()
    assert first["error_code"].endswith(MARK)
    assert second["run"].endswith(MARK)
    assert longest_line(proxy) <= RECORD


def test_names_of_inputs_and_fields_are_cut_in_the_record(proxy: Proxy) -> None:
    values = [{"name": f"name-{number}-" + "\x1b" * 50, "value": "v"} for number in range(2000)]
    body = json.dumps({"input": {"values": values}} | {f"field-{number}": 1 for number in range(2000)}).encode()
    assert proxy.call(body=body).status == 200

    [record] = proxy.records()
    assert record["inputs"][-1] == record["ignored_fields"][-1] == MARK
    assert longest_line(proxy) <= RECORD


def test_an_error_that_spells_out_the_new_call_is_bounded_by_the_path(upstream: Upstream, tmp_path: Path) -> None:
    lifecycle = {"sunset": "2026-01-01", "deprecated": "2025-01-01"}
    clock = Clock()
    clock.now = NOON
    with proxy_for(upstream.url, tmp_path, clock, lifecycle=lifecycle) as proxy:
        trigger = proxy.call(BEFORE + "%01" * (LONGEST // 3) + AFTER)
        other = proxy.call("/acme/" + "x" * (MAX_PATH - len("/acme/")), b"{}", method="PATCH")

    assert (trigger.status, other.status) == (410, 410)
    assert len(trigger.body) <= 4 * MAX_PATH
    assert len(other.body) <= 4 * MAX_PATH
    assert len(str(other.header("link"))) <= MAX_PATH + 256
