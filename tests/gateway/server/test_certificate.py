import ssl
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from proxy.config import Tls
from proxy.gateway.server.certificate import server_context
from proxy.gateway.server.listeners import ServeError
from tests.support.certificates import CA


def written(folder: Path, leaf: trustme.LeafCert) -> Tls:
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
    leaf.private_key_pem.write_to_path(key)
    return Tls(str(certificate), str(key))


def test_a_key_with_a_pass_phrase_is_refused_by_name(tmp_path: Path) -> None:
    tls = written(tmp_path, CA.issue_cert("h"))
    key = serialization.load_pem_private_key(Path(tls.key).read_bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret phrase"),
    )
    Path(tls.key).write_bytes(locked)
    with pytest.raises(ServeError, match=r"^tls.key: it has a pass phrase"):
        server_context(tls)


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    tls = written(tmp_path, CA.issue_cert("h"))
    CA.issue_cert("h").private_key_pem.write_to_path(tls.key)
    with pytest.raises(ServeError, match=r"^tls: the certificate and the key cannot be used: "):
        server_context(tls)


def test_a_context_is_one_for_a_server(tmp_path: Path) -> None:
    assert server_context(written(tmp_path, CA.issue_cert("h"))).protocol is ssl.PROTOCOL_TLS_SERVER
