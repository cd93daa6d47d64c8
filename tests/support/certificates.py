"""Certificates for TLS, right and wrong."""

import contextlib
import functools
import os
import socket
import ssl
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID

CA = trustme.CA()
DAY = timedelta(days=1)
NOW = datetime.now(UTC)


@contextlib.contextmanager
def trusted() -> Iterator[None]:
    """Have proxies that start during the block trust `CA`, through ``SSL_CERT_FILE``."""
    with CA.cert_pem.tempfile() as file, mock.patch.dict(os.environ, {"SSL_CERT_FILE": file}):
        yield


def server_context(
    ca: trustme.CA = CA, host: str = "127.0.0.1", begins: datetime = NOW - DAY, ends: datetime = NOW + DAY
) -> ssl.SSLContext:
    """A server's certificate, by default a good one."""
    return _shows(ca.issue_cert(host, not_before=begins, not_after=ends))


def self_signed() -> ssl.SSLContext:
    """A self-signed certificate."""
    authority = trustme.CA()
    return _shows(trustme.LeafCert(authority.private_key_pem.bytes(), authority.cert_pem.bytes(), []))


def for_clients() -> ssl.SSLContext:
    """A certificate for clients only."""
    return _shows(issued_for_clients())


def issued_for_clients() -> trustme.LeafCert:
    """A certificate for clients only; it ends after a day."""
    leaf = CA.issue_cert("127.0.0.1")
    good = x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes())
    builder = x509.CertificateBuilder(
        good.issuer, good.subject, good.public_key(), good.serial_number, NOW - DAY, NOW + DAY
    )
    for extension in good.extensions:
        purpose = isinstance(extension.value, x509.ExtendedKeyUsage)
        value = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]) if purpose else extension.value
        builder = builder.add_extension(value, extension.critical)
    key = serialization.load_pem_private_key(CA.private_key_pem.bytes(), None)
    assert isinstance(key, EllipticCurvePrivateKey)
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return trustme.LeafCert(leaf.private_key_pem.bytes(), certificate, [])


def speaks_old_tls() -> ssl.SSLContext:
    """A good certificate, with TLS 1.1 only."""
    context = server_context()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def asks_for_a_certificate() -> ssl.SSLContext:
    """A good certificate; it asks for one of the client, too."""
    context = server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    return context


class CutOff(ssl.SSLContext):
    """Ends a handshake after its first message.

    Attributes:
        end: how.
    """

    end: Callable[[socket.socket], None]

    def wrap_socket(self, sock: socket.socket, *_: Any, **__: Any) -> ssl.SSLSocket:
        with sock:
            sock.recv(1 << 14)
            self.end(sock)
        raise ConnectionAbortedError


def cut_off(end: Callable[[socket.socket], None]) -> ssl.SSLContext:
    """A handshake that ends after its first message."""
    context = CutOff(ssl.PROTOCOL_TLS_SERVER)
    context.end = end
    return context


def _shows(leaf: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    return context


def client_context() -> ssl.SSLContext:
    """Trusts `CA`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    CA.configure_trust(context)
    return context


_ISSUED = functools.cache(lambda: CA.issue_cert("127.0.0.1"))


def certified(folder: Path) -> tuple[dict[str, str], ssl.SSLContext]:
    """A certificate and its key, as the configuration names them, and a context that trusts it."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    _ISSUED().cert_chain_pems[0].write_to_path(certificate)
    _ISSUED().private_key_pem.write_to_path(key)
    return {"certificate": str(certificate), "key": str(key)}, client_context()
