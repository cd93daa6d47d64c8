"""The way to the service: through real egress proxies, with a private authority, and with a certificate to show."""

import contextlib
import functools
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.support import egress
from tests.support.certificates import CA, asks_for_a_certificate, server_context
from tests.support.egress import PASSWORD, PROGRAMS, USER
from tests.support.proxy import Proxy, proxy_for
from tests.support.upstream import Upstream

AUTHORITY = trustme.CA()


def written(folder: Path, credentials: str) -> dict[str, str]:
    file = folder / "credentials"
    file.write_text(credentials + "\n")
    return {"proxy_credentials_file": str(file)}


def authorities(folder: Path, ca: trustme.CA = CA) -> dict[str, str]:
    ca.cert_pem.write_to_path(folder / "authorities.pem")
    return {"authorities": str(folder / "authorities.pem")}


def shown(folder: Path, ca: trustme.CA = CA) -> dict[str, str]:
    """A certificate for clients."""
    files = {"certificate": str(folder / "client.pem"), "key": str(folder / "client.key")}
    leaf = ca.issue_cert("trigger-shim.example")
    Path(files["certificate"]).write_bytes(b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
    leaf.private_key_pem.write_to_path(files["key"])
    return files


def asking() -> ssl.SSLContext:
    """Asks for a certificate of `CA`."""
    context = asks_for_a_certificate()
    CA.configure_trust(context)
    return context


@pytest.fixture(scope="module")
def through() -> Iterator[Callable[..., str]]:
    """Starts egress proxies, each of a kind once: they take seconds to stop."""
    with contextlib.ExitStack() as running:
        yield functools.cache(lambda name, **settings: running.enter_context(egress.egress(name, **settings)))


@contextlib.contextmanager
def in_front(folder: Path, tls: ssl.SSLContext | None = None, **settings: Any) -> Iterator[tuple[Proxy, Upstream]]:
    """A proxy in front of a service."""
    with Upstream(tls=tls).running() as upstream:
        url = upstream.url.replace("http:", "https:") if tls is not None else upstream.url
        with proxy_for(url, folder, upstream=settings) as proxy:
            proxy.patient()
            yield proxy, upstream


def refused(proxy: Proxy, upstream: Upstream) -> str:
    """Why a call is not forwarded."""
    answer = proxy.call()
    error = answer.json()
    assert (answer.status, error["error_code"], error["details"]["run_started"]) == (502, "UpstreamUnreachable", "no")
    assert proxy.records()[-1]["outcome"] == "unreachable"
    assert upstream.received == []
    return str(error["message"])


@pytest.mark.parametrize("has_users", [False, True], ids=["open", "with users"])
@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_calls_go_through_an_egress_proxy_and_the_service_sees_nothing_of_it(
    through: Callable[..., str], tmp_path: Path, name: str, secure: bool, has_users: bool
) -> None:
    tls: dict[str, Any] = {"tls": server_context(), **authorities(tmp_path)} if secure else {}
    known: dict[str, Any] = written(tmp_path, f"{USER}:{PASSWORD}") if has_users else {}
    with in_front(tmp_path, proxy=through(name, has_users=has_users), **tls, **known) as (proxy, upstream):
        assert proxy.call().status == 200
        assert proxy.call("/repos/acme/shop/cicd/runs", None, method="GET").status == 200
        assert [proxy.call().status for _ in range(3)] == [200] * 3
        assert upstream.connections == 2  # one for calls that start runs, one for others
        [first, *_] = upstream.received
        assert first.all("authorization") == ["Bearer secret-token"]
        assert not first.all("proxy-authorization")
        assert first.target == "/repos/acme/shop/cicd/runs"


@pytest.mark.parametrize(
    ("credentials", "reason"),
    [(None, "wants credentials"), (f"{USER}:wrong", "does not accept the credentials")],
)
@pytest.mark.parametrize("name", PROGRAMS)
def test_an_egress_proxy_that_wants_other_credentials_is_named(
    through: Callable[..., str], tmp_path: Path, name: str, credentials: str | None, reason: str
) -> None:
    known: dict[str, Any] = written(tmp_path, credentials) if credentials is not None else {}
    with in_front(tmp_path, proxy=through(name, has_users=True), **known) as (proxy, upstream):
        assert f"the egress proxy {reason}." in refused(proxy, upstream)


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_egress_proxy_that_may_not_connect_to_the_service_is_named(
    through: Callable[..., str], tmp_path: Path, name: str
) -> None:
    with in_front(tmp_path, proxy=through(name, allowed=1)) as (proxy, upstream):
        assert "the egress proxy refused to connect to it, with status 403." in refused(proxy, upstream)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_service_that_is_down_is_known_by_the_status_of_the_egress_proxy(
    through: Callable[..., str], tmp_path: Path, name: str
) -> None:
    settings = {"proxy": through(name, has_users=False)}
    with proxy_for("http://127.0.0.1:1", tmp_path, upstream=settings) as proxy:
        proxy.patient()
        assert "the egress proxy refused to connect to it, with status 50" in proxy.call().json()["message"]


def test_the_authorities_of_a_file_are_trusted_instead_of_the_systems(tmp_path: Path) -> None:
    with in_front(tmp_path, server_context(), **authorities(tmp_path)) as (proxy, upstream):
        assert proxy.call().status == 200
        assert len(upstream.received) == 1
    with in_front(tmp_path, server_context(), **authorities(tmp_path, AUTHORITY)) as (proxy, upstream):
        assert "its certificate is not trusted" in refused(proxy, upstream)


def test_a_service_that_asks_for_a_certificate_gets_the_one_that_is_configured(tmp_path: Path) -> None:
    with in_front(tmp_path, asking(), **authorities(tmp_path), **shown(tmp_path)) as (proxy, upstream):
        assert [proxy.call().status for _ in range(2)] == [200, 200]
        assert upstream.connections == 1


@pytest.mark.parametrize("is_new", [False, True], ids=["TLS 1.2", "TLS 1.3"])
@pytest.mark.parametrize("files", [{}, {"ca": AUTHORITY}], ids=["none", "of another authority"])
def test_a_service_that_does_not_accept_the_certificate_gets_no_call(
    tmp_path: Path, files: dict[str, Any], *, is_new: bool
) -> None:
    mine = shown(tmp_path, **files) if files else {}
    tls = asking()
    tls.maximum_version = ssl.TLSVersion.TLSv1_3 if is_new else ssl.TLSVersion.TLSv1_2
    with in_front(tmp_path, tls, **authorities(tmp_path), **mine) as (proxy, upstream):
        reason = (
            "the TLS handshake failed" if not (mine or is_new) else "it does not accept the certificate of the proxy"
        )
        assert f"{reason}." in refused(proxy, upstream)


def test_a_certificate_is_shown_through_an_egress_proxy_too(through: Callable[..., str], tmp_path: Path) -> None:
    url = through("tinyproxy", has_users=False)
    with in_front(tmp_path, asking(), proxy=url, **authorities(tmp_path), **shown(tmp_path)) as (proxy, _):
        assert proxy.call().status == 200
