"""Watches when certificates end: those that the proxy shows to callers and to the service, and that of the service."""

import contextlib
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from proxy.gateway.metrics import CertificateKey
from proxy.gateway.pem import UnusableFile, load_key_pair
from proxy.output.diagnostics import log
from proxy.output.formatting import date

_SOON = timedelta(days=14)
_DAY = timedelta(days=1)
_NO_CHECK_TIME = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which Python has no name for."""


class Certificates:
    """Logs once a day which certificate ends within two weeks.

    Args:
        now: the time, UTC.
        measure: called with the time when a certificate ends.
    """

    def __init__(self, now: Callable[[], datetime], measure: Callable[[CertificateKey, datetime], None]) -> None:
        self._now, self._measure = now, measure
        self._ends: dict[CertificateKey, datetime] = {}
        self._told: dict[CertificateKey, datetime] = {}

    def update(self, key: CertificateKey, end: datetime | None) -> None:
        """Note when a certificate ends; None if that is not known."""
        if end is not None and end != self._ends.get(key):
            self._ends[key] = end
            self._told.pop(key, None)
            self._measure(key, end)

    def check(self) -> None:
        """Called about once a second."""
        now = self._now()
        for key, end in self._ends.items():
            told = self._told.get(key)
            if end - now < _SOON and (told is None or now - told >= _DAY):
                self._told[key] = now
                log.warning(
                    "certificate_ends", key=key, end=date(end), days=int((end - now) / _DAY), message="renew it"
                )


def end_of_peer(connection: ssl.SSLObject) -> datetime | None:
    """When the certificate of the peer ends; None if it was not verified."""
    found = connection.getpeercert() or {}
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(found["notAfter"])), UTC) if found else None


def end_of(certificate: str, key: str, *, of_client: bool = False) -> datetime | None:
    """When a certificate ends; None if that cannot be told.

    The library reads it only from a peer that it trusts. So this is a handshake in memory between two ends that have
    just this certificate, and trust it.

    Args:
        certificate: path of the file.
        key: path of the file with its key.
        of_client: whether a client shows it. It may be good for only one of the two.
    """
    try:
        client, server = (_context(p, certificate, key) for p in (ssl.PROTOCOL_TLS_CLIENT, ssl.PROTOCOL_TLS_SERVER))
        client.check_hostname = False
        client.verify_mode = ssl.CERT_NONE if of_client else ssl.CERT_REQUIRED
        server.verify_mode = ssl.CERT_REQUIRED if of_client else ssl.CERT_NONE
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        near, far = client.wrap_bio(to_client, to_server), server.wrap_bio(to_server, to_client, server_side=True)
        for end in (near, far, near, far):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    except (OSError, UnusableFile):
        return None
    return end_of_peer(far if of_client else near)


def _context(protocol: int, certificate: str, key: str) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    context.load_verify_locations(certificate)
    load_key_pair(context, "tls", certificate, key)
    return context
