import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from proxy.gateway.pem import UnusableFile, client_context, load_key_pair
from tests.support.certificates import CA, certified


def load(files: dict[str, str]) -> None:
    load_key_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "upstream", files["certificate"], files["key"])


def test_a_certificate_and_its_key_are_read(tmp_path: Path) -> None:
    load(certified(tmp_path)[0])


def test_a_key_with_a_pass_phrase_is_refused_by_name(tmp_path: Path) -> None:
    files, _ = certified(tmp_path)
    key = serialization.load_pem_private_key(Path(files["key"]).read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"secret phrase")
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    Path(files["key"]).write_bytes(key.private_bytes(*form, locked))
    with pytest.raises(UnusableFile, match=r"^upstream.key: it has a pass phrase"):
        load(files)


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    files, _ = certified(tmp_path)
    CA.issue_cert("h").private_key_pem.write_to_path(files["key"])
    with pytest.raises(UnusableFile, match=r"^upstream: the certificate and the key cannot be used: "):
        load(files)


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    files, _ = certified(tmp_path)
    Path(files["key"]).unlink()
    with pytest.raises(UnusableFile, match=r"^upstream: .*No such file"):
        load(files)


def test_only_the_given_authorities_are_trusted(tmp_path: Path) -> None:
    CA.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = client_context(str(tmp_path / "ca.pem"))
    assert context.cert_store_stats()["x509_ca"] == 1
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


@pytest.mark.parametrize("content", ["", "nothing", CA.private_key_pem.bytes().decode()])
def test_a_file_without_authorities_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "ca.pem").write_text(content)
    with pytest.raises(UnusableFile, match=r"^upstream.authorities: .*/ca.pem cannot be used: "):
        client_context(str(tmp_path / "ca.pem"))


def test_authorities_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableFile, match=r"^upstream.authorities: .*/gone: No such file"):
        client_context(str(tmp_path / "gone"))
