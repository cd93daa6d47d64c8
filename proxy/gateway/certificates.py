"""Watches when the certificates end: the one that callers see, and that of the service."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from proxy.gateway.metrics import CertificateKey
from proxy.output.diagnostics import log
from proxy.output.formatting import date

_SOON = timedelta(days=14)
_DAY = timedelta(days=1)


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
