import re
from pathlib import Path

import pytest

from proxy import config
from proxy.callers.render.assets import POLICY
from proxy.gateway.app import App
from proxy.gateway.server import listeners, server
from tests.support.ledgers import stored_calls
from tests.support.proxy import Proxy, watched
from tests.support.upstream import RUN, Upstream
from tests.support.waiting import until


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_answered_on_both_listeners(upstream: Upstream, tmp_path: Path, path: str) -> None:
    public, admin = listeners.loopback(), listeners.loopback()
    values = {"callers": {"log": str(tmp_path / "callers.jsonl")}, "ledger": None, "upstream": {"url": upstream.url}}
    with server.background(App(config.load(None, {}, values), admin.getsockname()[1]), public, admin):
        outside, inside = (Proxy("127.0.0.1", bound.getsockname()[1], tmp_path) for bound in (public, admin))
        assert inside.call(path, method="GET", body=None).status == 200
        assert outside.call(f"/-{path}", method="GET", body=None).status == 200
        assert inside.call().status == 404
        assert upstream.received == []
        assert outside.call(path, method="GET", body=None).body == RUN


def test_readiness_can_say_what_the_proxy_needs(tmp_path: Path) -> None:
    ledger = str(tmp_path / "callers.db")
    with watched("http://127.0.0.1:1", tmp_path, ledger=ledger) as (proxy, admin):

        def verbose() -> list[str]:
            return admin.call("/readyz?verbose", None, method="GET").body.decode().splitlines()

        until(lambda: "ledger          the last pass counted everything" in verbose())
        assert verbose()[:2] == ["ready", "service         reached, or not called yet"]
        assert proxy.call().status == 502
        assert "service         unreachable: it refused the connection" in verbose()
        assert "lost tries      shared" in verbose()
        assert "caller log      0 records lost since the start" in verbose()
        assert admin.call("/readyz", None, method="GET").body == b"ready\n"
        assert proxy.call("/-/readyz?verbose", None, method="GET").body == b"ready\n"  # which is for everybody


def test_only_the_admin_listener_shows_them(upstream: Upstream, tmp_path: Path) -> None:
    with watched(upstream.url, tmp_path) as (proxy, admin):
        for path in ("/-/metrics", "/-/", "/-/../metrics", "/-/%2e%2e/metrics"):
            answer = proxy.call(path, None, method="GET")
            assert (answer.status, answer.header("content-type")) == (404, "text/plain; charset=utf-8")
        assert upstream.received == []
        assert proxy.call("/metrics", None, method="GET").body == RUN
        answer = admin.call("/nowhere", None, method="GET")
        assert (answer.status, answer.header("content-type")) == (404, "text/plain; charset=utf-8")
        assert admin.call("/metrics").status == 405


def test_the_admin_listener_lists_its_pages(upstream: Upstream, tmp_path: Path) -> None:
    ledger = str(tmp_path / "callers.db")
    with watched(upstream.url, tmp_path, ledger=ledger) as (proxy, admin):
        proxy.call()
        until(lambda: stored_calls(ledger))
        listed = re.findall(r"^/\S*", admin.call("/", None, method="GET").body.decode(), re.MULTILINE)
        assert {"/healthz", "/readyz", "/metrics"} <= set(listed)
        assert {admin.call(path, None, method="GET").status for path in listed} == {200}


def test_only_the_page_s_own_script_may_run_in_it(upstream: Upstream, tmp_path: Path) -> None:
    ledger = str(tmp_path / "callers.db")
    with watched(upstream.url, tmp_path, ledger=ledger) as (proxy, admin):
        proxy.call()
        until(lambda: stored_calls(ledger))
        page = admin.call("/callers", None, method="GET")

    policy = page.header("content-security-policy")
    assert policy == f"{POLICY}; frame-ancestors 'none'"
    assert f'content="{POLICY}"'.replace("'", "&#39;") in page.body.decode()
    assert page.header("x-content-type-options") == "nosniff"
    assert page.header("cache-control") == "no-store"


def test_a_text_that_says_why_there_is_no_report_may_do_nothing(upstream: Upstream, tmp_path: Path) -> None:
    with watched(upstream.url, tmp_path) as (_, admin):
        page = admin.call("/callers", None, method="GET")

    assert (page.status, page.header("content-type")) == (503, "text/plain; charset=utf-8")
    assert page.header("content-security-policy") == "default-src 'none'"
