"""No web page can read the admin pages by a name that leads to them."""

from pathlib import Path

import pytest

from proxy import config
from proxy.gateway.admin.hosts import is_own, own_names
from tests.support.ledgers import stored_calls
from tests.support.proxy import Proxy, watched
from tests.support.upstream import Upstream
from tests.support.waiting import until
from tests.support.wire import Wire

SETTINGS = config.load(None, {}, {"admin": "shim.internal:9901", "admin_hosts": ["Shim.Corp.Example"]})


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LocalHost:9901",
        "localhost.:80",
        "127.0.0.1",
        "127.0.0.1:9901",
        "10.244.7.13:9901",  # a pod
        "[::1]",
        "[fd00::1]:9901",
        "shim.internal:9901",
        "shim.corp.example",
    ],
)
def test_addresses_and_configured_names_are_its_own(host: str) -> None:
    assert is_own(host, own_names(SETTINGS))


@pytest.mark.parametrize(
    "host",
    [
        "",
        ":9901",
        "evil.example",
        "evil.example:9901",
        "localhost.evil.example",
        "xlocalhost",
        "127.0.0.1.nip.io",
        "0x7f.1",
        "2130706433",
        "127.1",
        "[::1].evil.example",
    ],
)
def test_any_other_name_is_not(host: str) -> None:
    assert not is_own(host, own_names(SETTINGS))


def test_without_an_admin_listener_there_is_no_name_of_its_own() -> None:
    assert own_names(config.load(None, {}, {"admin": None})) == {"localhost"}


def asked(listener: Proxy, page: str, host: str) -> tuple[int, bytes, list[str]]:
    with Wire(listener.connect()) as wire:
        wire.send(f"GET {page} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        answer = wire.answer()
        return answer.status, answer.body, answer.all("x-content-type-options")


def test_pages_that_name_callers_are_refused_to_a_foreign_name(upstream: Upstream, tmp_path: Path) -> None:
    ledger = str(tmp_path / "callers.db")
    with watched(upstream.url, tmp_path, admin_hosts=["shim.corp.example"], ledger=ledger) as (proxy, admin):
        proxy.call(headers={"User-Agent": "nightly/1"})
        until(lambda: stored_calls(ledger))
        for page in ("/", "/callers", "/callers.json"):
            status, body, nosniff = asked(admin, page, "evil.example")
            assert (status, nosniff) == (421, ["nosniff"])
            assert b"admin_hosts" in body
            assert b"evil" not in body
            assert asked(admin, page, "shim.corp.example")[0] == 200
            assert asked(admin, page, f"localhost:{admin.port}")[0] == 200


def test_probes_and_metrics_answer_to_every_name(upstream: Upstream, tmp_path: Path) -> None:
    with watched(upstream.url, tmp_path) as (proxy, admin):
        for page in ("/healthz", "/readyz", "/metrics"):
            assert asked(admin, page, "proxy:9901")[0] == 200
        assert asked(proxy, "/-/healthz", "evil.example")[0] == 200


def test_what_answers_to_every_name_says_nothing_of_callers(upstream: Upstream, tmp_path: Path) -> None:
    with watched(upstream.url, tmp_path) as (proxy, admin):
        proxy.call("/secret-org/secret-repo/ci_workflows/secret/trigger", headers={"User-Agent": "secret-agent/1"})
        said = b"".join(asked(admin, page, "proxy")[1] for page in ("/healthz", "/readyz", "/metrics"))

    assert b"secret" not in said
