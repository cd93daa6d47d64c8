"""Watches when the certificates end: the one that callers see, and that of the service."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal

from proxy.output.diagnostics import log
from proxy.output.formatting import date

Owner = Literal["listen", "upstream"]

_SOON = timedelta(days=14)
_DAY = timedelta(days=1)


class Certificates:
    """Logs once a day which certificate ends within two weeks.

    Args:
        now: the time, UTC.
        measure: called with the time when a certificate ends.
    """

    def __init__(self, now: Callable[[], datetime], measure: Callable[[Owner, datetime], None]) -> None:
        self._now, self._measure = now, measure
        self._ends: dict[Owner, datetime] = {}
        self._told: dict[Owner, datetime] = {}

    def update(self, owner: Owner, end: datetime | None) -> None:
        """Note when a certificate ends; None if that is not known."""
        if end is not None and end != self._ends.get(owner):
            self._ends[owner] = end
            self._told.pop(owner, None)
            self._measure(owner, end)

    def check(self) -> None:
        """Called about once a second."""
        now = self._now()
        for owner, end in self._ends.items():
            told = self._told.get(owner)
            if end - now < _SOON and (told is None or now - told >= _DAY):
                self._told[owner] = now
                log.warning(
                    "certificate_ends", key=owner, end=date(end), days=int((end - now) / _DAY), message="renew it"
                )


def end_of_peer(connection: ssl.SSLObject) -> datetime | None:
    """When the certificate of the peer ends; None if it was not verified."""
    found = connection.getpeercert() or {}
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(found["notAfter"])), UTC) if found else None
