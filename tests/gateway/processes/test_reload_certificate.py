import socket
import ssl
from pathlib import Path

import pytest

from proxy.cli import main
from tests.support.certificates import CA, DAY, NOW, asks_for_a_certificate, certified
from tests.support.proxy import Proxy
from tests.support.scrape import Scrape
from tests.support.serving import serving
from tests.support.upstream import Upstream, closes, reply
from tests.support.waiting import until
from tests.support.workers import workers


def shown(proxy: Proxy, trust: ssl.SSLContext) -> set[str]:
    """Serial numbers of the certificates that new connections get."""
    found = set()
    for _ in range(12):
        with trust.wrap_socket(proxy.connect(), server_hostname="127.0.0.1") as connection:
            certificate = connection.getpeercert() or {}
            found.add(str(certificate["serialNumber"]))
    return found


@pytest.mark.parametrize("count", [1, 2])
def test_a_renewed_certificate_is_shown_after_a_reload_and_a_wrong_one_is_not(
    upstream: Upstream, tmp_path: Path, capsys: pytest.CaptureFixture[str], count: int
) -> None:
    files, trust = certified(tmp_path)
    reload = ["reload", "--config", str(tmp_path / "config.yaml")]
    with serving(upstream.url, tmp_path, tls=files, workers=count) as running:
        until(lambda: workers(running.proxy, count))
        kept = trust.wrap_socket(running.proxy.connect(), server_hostname="127.0.0.1")
        before = shown(running.proxy, trust)
        renewed = CA.issue_cert("127.0.0.1")
        renewed.cert_chain_pems[0].write_to_path(files["certificate"])
        assert main(reload) == 2  # the key is still the old one
        assert "tls: the certificate and the key cannot be used" in capsys.readouterr().err
        assert shown(running.proxy, trust) == before

        renewed.private_key_pem.write_to_path(files["key"])
        assert main(reload) == 0
        after = shown(running.proxy, trust)
        assert len(after) == 1
        assert after.isdisjoint(before)
        with kept:  # which a renewal does not disturb
            kept.sendall(b"GET /-/healthz HTTP/1.1\r\nHost: h\r\n\r\n")
            assert kept.recv(4096).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("count", [1, 2])
def test_a_renewed_certificate_is_shown_to_the_service_after_a_reload_and_a_wrong_one_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], count: int
) -> None:
    seen: list[str] = []

    def note(connection: socket.socket) -> None:
        assert isinstance(connection, ssl.SSLSocket)
        seen.append(str((connection.getpeercert() or {})["serialNumber"]))
        reply(headers={"Connection": "close"})(connection)  # or the next call might come on it before it is closed
        closes()(connection)

    files, _ = certified(tmp_path)
    CA.cert_pem.write_to_path(tmp_path / "ca.pem")
    tls = asks_for_a_certificate()
    CA.configure_trust(tls)
    settings = {**files, "authorities": str(tmp_path / "ca.pem")}
    reload = ["reload", "--config", str(tmp_path / "config.yaml")]
    with (
        Upstream(note, tls=tls).running() as upstream,
        serving(
            upstream.url.replace("http:", "https:"), tmp_path, upstream=settings, workers=count, admin="127.0.0.1:0"
        ) as running,
    ):
        until(lambda: workers(running.proxy, count))
        assert running.proxy.call().status == 200
        renewed = CA.issue_cert("127.0.0.1", not_after=NOW + 99 * DAY)
        renewed.cert_chain_pems[0].write_to_path(files["certificate"])
        assert main(reload) == 2  # the key is still the old one
        assert "upstream: the certificate and the key cannot be used" in capsys.readouterr().err
        assert running.proxy.call().status == 200
        assert len(set(seen)) == 1

        renewed.private_key_pem.write_to_path(files["key"])
        assert main(reload) == 0
        del seen[1:]
        assert [running.proxy.call().status for _ in range(4)] == [200] * 4
        assert len(set(seen[1:])) == 1
        assert set(seen[1:]).isdisjoint(seen[:1])
        end = Scrape(running.admin).value("certificate_end_timestamp_seconds", key="upstream.certificate")
        assert end == int((NOW + 99 * DAY).timestamp())
