from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from proxy.gateway.certificates import Certificates, end_of
from proxy.gateway.metrics import CertificateKey
from tests.support import certificates
from tests.support.certificates import CA

NOW = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def test_a_certificate_that_ends_within_two_weeks_is_named_once_a_day(capsys: pytest.CaptureFixture[str]) -> None:
    now, measured = [NOW], []

    def measure(key: CertificateKey, end: datetime) -> None:
        measured.append((key, end))

    watched = Certificates(lambda: now[0], measure)
    watched.update("upstream", None)
    watched.update("upstream", NOW + 14 * DAY)
    watched.update("listen", NOW + 15 * DAY)
    watched.check()
    assert capsys.readouterr().err == ""

    now[0] += timedelta(hours=1)
    for _ in range(2):
        watched.update("upstream", NOW + 14 * DAY)
        watched.check()
    assert capsys.readouterr().err == (
        "trigger-shim: warning: certificate ends key=upstream end=2026-11-15 days=13: renew it\n"
    )
    now[0] += DAY
    watched.check()
    assert len(capsys.readouterr().err.splitlines()) == 2

    watched.update("upstream", NOW + 99 * DAY)
    now[0] += 20 * DAY
    watched.check()
    assert capsys.readouterr().err == (
        "trigger-shim: warning: certificate ends key=listen end=2026-11-16 days=-6: renew it\n"
    )
    assert measured == [("upstream", NOW + 14 * DAY), ("listen", NOW + 15 * DAY), ("upstream", NOW + 99 * DAY)]


def end(folder: Path, leaf: trustme.LeafCert, **options: bool) -> datetime | None:
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
    leaf.private_key_pem.write_to_path(key)
    return end_of(str(certificate), str(key), **options)


@pytest.mark.parametrize("of_client", [False, True])
@pytest.mark.parametrize("days", [-2, 1, 400])
@pytest.mark.parametrize("authority", [CA, CA.create_child_ca()], ids=["root", "intermediate"])
def test_the_end_of_a_certificate_is_known(
    tmp_path: Path, days: int, authority: trustme.CA, *, of_client: bool
) -> None:
    due = certificates.NOW + days * DAY
    issued = authority.issue_cert("h", not_before=certificates.NOW - 9 * DAY, not_after=due)
    found = end(tmp_path, issued, of_client=of_client)
    assert found is not None
    assert abs(found - due) < timedelta(seconds=1)


def test_the_end_of_a_certificate_for_clients_only_is_known(tmp_path: Path) -> None:
    found = end(tmp_path, certificates.issued_for_clients(), of_client=True)
    assert found is not None
    assert abs(found - certificates.NOW - DAY) < timedelta(seconds=1)


def test_of_a_certificate_that_cannot_be_read_no_end_is_known(tmp_path: Path) -> None:
    file = tmp_path / "file.pem"
    file.write_text("nothing")
    assert end_of(str(file), str(file)) is None
    assert end_of(str(tmp_path / "gone"), str(file)) is None
