"""What is said to an egress proxy, and what its answer means."""

import errno
import socket
from pathlib import Path

import pytest

from proxy import config
from proxy.gateway.pem import UnusableFile
from proxy.gateway.upstream.egress import EgressError, EgressProxy, failure

PLAIN = EgressProxy("egress.example", 3128)
KNOWN = EgressProxy("egress.example", 3128, b"Basic dTpw")


def configured(file: Path, content: bytes) -> EgressProxy | None:
    file.write_bytes(content)
    return EgressProxy.configured(config.Upstream(proxy="http://egress.example:3128", proxy_credentials_file=str(file)))


def test_the_request_for_a_tunnel_names_the_service_and_nothing_else() -> None:
    assert PLAIN.request_for("api.example", 443) == (
        b"CONNECT api.example:443 HTTP/1.1\r\nHost: api.example:443\r\n\r\n"
    )
    assert PLAIN.request_for("::1", 80).startswith(b"CONNECT [::1]:80 HTTP/1.1\r\nHost: [::1]:80\r\n")
    assert KNOWN.request_for("h", 1).endswith(b"\r\nProxy-Authorization: Basic dTpw\r\n\r\n")


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 204 Fine\r\nContent-Length: 7\r\nA: b\r\n\r\n"]
)
def test_each_status_of_success_is_a_tunnel(answer: bytes) -> None:
    PLAIN.check(answer)


@pytest.mark.parametrize(
    ("proxy", "answer", "message", "kind"),
    [
        (PLAIN, b"HTTP/1.1 407 X\r\n\r\nbody", "the egress proxy wants credentials", "proxy_configuration_error"),
        *(
            (KNOWN, answer, "the egress proxy does not accept the credentials", "proxy_configuration_error")
            for answer in (b"HTTP/1.1 407 X\r\n\r\n", b"HTTP/1.1 401 X\r\n\r\n")
        ),
        *(
            (
                PLAIN,
                b"HTTP/1.1 %d Bearer secret\r\n\r\n" % status,
                f"the egress proxy refused to connect to it, with status {status}",
                "destination_unavailable",
            )
            for status in (100, 302, 403, 503)
        ),
        *(
            (PLAIN, answer, "the answer of the egress proxy is not HTTP", "destination_unavailable")
            for answer in (b"SSH-2.0\r\n\r\n", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 2000\r\n\r\n", b"HTTP/2 200\r\n\r\n")
        ),
        (
            PLAIN,
            b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n",
            "it did not wait for the request",
            "connection_terminated",
        ),
    ],
)
def test_every_other_answer_says_why_there_is_no_tunnel(
    proxy: EgressProxy, answer: bytes, message: str, kind: str
) -> None:
    with pytest.raises(EgressError) as caught:
        proxy.check(answer)
    assert (str(caught.value), caught.value.proxy_error) == (message, kind)


@pytest.mark.parametrize(
    ("error", "message", "kind"),
    [
        (socket.gaierror(), "the name of the egress proxy is not known", "dns_error"),
        (ConnectionRefusedError(), "the egress proxy refused the connection", "connection_refused"),
        (ConnectionResetError(), "the egress proxy closed the connection", "connection_terminated"),
        (OSError(errno.EHOSTUNREACH, ""), "the egress proxy cannot be reached", "destination_unavailable"),
    ],
)
def test_an_egress_proxy_that_cannot_be_reached_is_named(error: OSError, message: str, kind: str) -> None:
    found = failure(error)
    assert isinstance(found, EgressError)
    assert (str(found), found.proxy_error) == (message, kind)


def test_a_lack_of_descriptors_is_not_the_egress_proxys_fault() -> None:
    error = OSError(errno.EMFILE, "")
    assert failure(error) is error


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_credentials_are_one_line_of_a_file(tmp_path: Path, end: bytes) -> None:
    found = configured(tmp_path / "file", "us er:p:ä ".encode() + end)
    assert found == EgressProxy("egress.example", 3128, b"Basic dXMgZXI6cDrDpCA=")
    assert "dXM" not in repr(found)


@pytest.mark.parametrize("content", [b"", b"secret", b":secret", b"u:secret\nX: y", b"u:secret\0", b"u:secret\xff"])
def test_what_is_not_a_pair_of_credentials_is_refused_and_not_shown(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UnusableFile) as caught:
        configured(tmp_path / "file", content)
    assert str(caught.value) == (
        f"upstream.proxy_credentials_file: {tmp_path}/file has no credentials; write USER:PASSWORD in one line"
    )


def test_credentials_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    settings = config.Upstream(proxy="http://h:1", proxy_credentials_file=str(tmp_path / "gone"))
    with pytest.raises(UnusableFile, match=r"^upstream.proxy_credentials_file: .*/gone: No such file"):
        EgressProxy.configured(settings)


def test_without_a_key_there_is_none() -> None:
    assert EgressProxy.configured(config.Upstream()) is None
