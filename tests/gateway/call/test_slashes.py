"""Tools whose base URL ends in a slash: their calls go on untouched, and the operator hears of each, once."""

import re
from pathlib import Path

import pytest

from proxy.gateway.call import slashes
from tests.support.proxy import Proxy, proxy_for
from tests.support.upstream import Upstream
from tests.support.waiting import until

AUTH = {"Authorization": "Bearer secret-token", "User-Agent": "legacy-ci/1.0"}


def told(stderr: Path, count: int) -> list[str]:
    """The lines on standard error, as soon as there are so many."""

    def enough() -> list[str]:
        found = stderr.read_text().splitlines()
        return found if len(found) >= count else []

    found: list[str] = until(enough)
    return found


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "//acme/shop/ci_workflows/release%2Fprod/trigger"),
        ("POST", "////asf//sdg/ci_workflows/build/trigger"),
        ("POST", "/acme//shop/ci_workflows/build/trigger"),
        ("POST", "//repos/id:42/ci_workflows/build/trigger"),
        ("POST", "//acme/shop/cicd/runs"),
        ("GET", "//acme/shop/cicd/runs/7"),
        ("DELETE", "//acme/shop"),
    ],
)
def test_a_call_with_an_empty_segment_goes_on_untouched_and_its_tool_is_named_once(
    upstream: Upstream, proxy: Proxy, stderr: Path, method: str, path: str
) -> None:
    for _ in range(3):
        answer = proxy.call(f"{path}?a=//b", b"{}" if method == "POST" else None, AUTH, method)
        assert (answer.status, answer.header("deprecation")) == (200, None)

    assert [request.target for request in upstream.received] == [f"{path}?a=//b"] * 3
    assert proxy.records() == []
    [line] = told(stderr, 1)
    assert line.startswith("trigger-shim: warning: base url ends in slash caller=token:")
    assert f' user_agent=legacy-ci/1.0 call="{method} {path}": the call passes through untranslated; ' in line
    assert "secret-token" not in line


def test_every_caller_is_named(upstream: Upstream, proxy: Proxy, stderr: Path) -> None:
    for agent in ("a/1", "b/1", "a/1"):
        proxy.call("//acme/shop/cicd/runs", b"{}", {"Authorization": "", "User-Agent": agent})

    assert [re.findall(r'caller="(.*?)"', line) for line in told(stderr, 2)] == [["127.0.0.1 a/1"], ["127.0.0.1 b/1"]]
    assert len(upstream.received) == 3


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "//"),
        ("GET", "//repos/acme/shop/cicd/runs"),
        ("DELETE", "//labels/id:5"),
        ("DELETE", "//next/id:5"),
        ("GET", "//acme/shop"),
        ("GET", "/x?a=//acme/shop/cicd/runs"),
    ],
)
def test_whatever_else_has_an_empty_segment_is_nobodys_mistake(
    upstream: Upstream, proxy: Proxy, stderr: Path, method: str, path: str
) -> None:
    proxy.call(path, None, AUTH, method)
    proxy.call("//acme/shop/cicd/runs", b"{}", {"Authorization": "", "User-Agent": "last"})

    [line] = told(stderr, 1)
    assert "last" in line
    assert len(upstream.received) == 2


def test_strangers_do_not_fill_standard_error(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stderr: Path
) -> None:
    monkeypatch.setattr(slashes, "MAX_NAMED", 3)
    with proxy_for(upstream.url, tmp_path) as proxy:
        for number in range(10):
            proxy.call("//acme/shop/cicd/runs", b"{}", {"User-Agent": f"a/{number}", "Authorization": ""})

    assert len(told(stderr, 3)) == 3
    assert len(upstream.received) == 10


def test_what_a_caller_says_of_itself_stays_on_its_line(upstream: Upstream, tmp_path: Path, stderr: Path) -> None:
    with proxy_for(upstream.url, tmp_path, callers={"header": "X-Caller"}) as proxy:
        hostile = "a\x9b2J\u202eb" + "x" * 400
        path = "//acme/shop/ci_workflows/" + "%0A" * 400 + "/trigger"
        proxy.call(path, b"{}", {"X-Caller": hostile.encode().decode("latin-1"), "User-Agent": "z" * 4000})

    [line] = told(stderr, 1)
    assert line.isprintable()
    assert len(line) < 500
    assert upstream.received[0].target == path
