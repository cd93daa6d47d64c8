from datetime import UTC, datetime, timedelta

import pytest

from proxy.gateway.certificates import Certificates
from proxy.gateway.metrics import CertificateKey

NOW = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def test_a_certificate_that_ends_within_two_weeks_is_named_once_a_day(capsys: pytest.CaptureFixture[str]) -> None:
    now, measured = [NOW], []

    def measure(key: CertificateKey, end: datetime) -> None:
        measured.append((key, end))

    certificates = Certificates(lambda: now[0], measure)
    certificates.update("upstream", None)
    certificates.update("upstream", NOW + 14 * DAY)
    certificates.update("listen", NOW + 15 * DAY)
    certificates.check()
    assert capsys.readouterr().err == ""

    now[0] += timedelta(hours=1)
    for _ in range(2):
        certificates.update("upstream", NOW + 14 * DAY)
        certificates.check()
    assert capsys.readouterr().err == (
        "trigger-shim: warning: certificate ends key=upstream end=2026-11-15 days=13: renew it\n"
    )
    now[0] += DAY
    certificates.check()
    assert len(capsys.readouterr().err.splitlines()) == 2

    certificates.update("upstream", NOW + 99 * DAY)
    now[0] += 20 * DAY
    certificates.check()
    assert capsys.readouterr().err == (
        "trigger-shim: warning: certificate ends key=listen end=2026-11-16 days=-6: renew it\n"
    )
    assert measured == [("upstream", NOW + 14 * DAY), ("listen", NOW + 15 * DAY), ("upstream", NOW + 99 * DAY)]
