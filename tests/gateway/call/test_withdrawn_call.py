"""What is known of a call before it is forwarded: its ID, its caller, its successor."""

from pathlib import Path

import pytest

from tests.support.proxy import Proxy, proxy_for
from tests.support.upstream import Upstream, closes


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
