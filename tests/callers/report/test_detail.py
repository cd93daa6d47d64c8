from datetime import datetime, timedelta, timezone
from pathlib import Path

from proxy.callers.ledger.details import LAST_CALLS
from proxy.callers.record import Record
from proxy.callers.report.analysis import Logs, analyze
from proxy.callers.report.budget import OTHERS
from proxy.callers.report.detail import Detail
from tests.callers.lines import DAY, NOW, call, line
from tests.callers.reports import analyzed


def detail_of(folder: Path, *records: Record) -> Detail:
    return analyzed(folder, *records).details["nightly"]


def test_addresses_tokens_errors_and_ignored_fields_are_counted(tmp_path: Path) -> None:
    found = detail_of(
        tmp_path,
        call(client_ip="10.1.2.3", token="0123456789ab"),
        call(client_ip="10.1.2.3", status=404, outcome="upstream_error", error_code="NotFound"),
        call(client_ip="10.1.2.4", status=410, outcome="gone", ignored_fields=["inputs", "input.value"]),
        call(ignored_fields=["inputs"]),
    )

    assert found.counts == {
        "addresses": {"10.1.2.3": 2, "10.1.2.4": 1},
        "tokens": {"0123456789ab": 1},
        "errors": {"404 NotFound": 1, "410 gone": 1},
        "ignored_fields": {"inputs": 2, "input.value": 1},
        "trigger_fields": {},
    }


def test_the_last_calls_are_the_latest_not_the_last_lines(tmp_path: Path) -> None:
    order = [3, 14, 7, 1, 12, 9, 2, 13, 5, 11, 6, 8, 4, 10, 15]
    found = detail_of(tmp_path, *(call(NOW - days * DAY, request_id=f"r-{days}", run=str(days)) for days in order))

    assert [last.request_id for last in found.last_calls] == [f"r-{days}" for days in range(1, LAST_CALLS + 1)]
    assert found.last_calls[0].run == "1"


def test_the_times_of_the_last_calls_are_in_utc(tmp_path: Path) -> None:
    [last] = detail_of(tmp_path, call(datetime(2026, 11, 23, 1, tzinfo=timezone(timedelta(hours=3))))).last_calls

    assert last.ts.isoformat() == "2026-11-22T22:00:00+00:00"


def test_a_record_with_a_field_of_another_type_has_no_details(tmp_path: Path) -> None:
    foreign = line(call(run="7")).replace(b'"run":"7"', b'"run":7')
    (tmp_path / "log").write_bytes(foreign + line(call(run="8")))
    analysis = analyze(Logs([str(tmp_path / "log")]), [], NOW, wants_detail=lambda _: True)

    assert [row.calls for row in analysis.report.callers] == [2]
    assert [last.run for last in analysis.details["nightly"].last_calls] == ["8"]


def test_the_number_of_different_values_is_bounded(tmp_path: Path) -> None:
    calls = [
        call(client_ip=f"10.1.{n // 256}.{n % 256}", ignored_fields=[f"f{n}"], workflow=f"w{n}") for n in range(1200)
    ]
    found = detail_of(tmp_path, *calls)

    assert len(found.counts["addresses"]) == len(found.counts["ignored_fields"]) == 1001
    assert found.counts["addresses"][OTHERS] == 200
    assert len(found.uses) == 1000


def test_a_record_that_the_proxy_does_not_write_has_no_details(tmp_path: Path) -> None:
    found = analyzed(tmp_path, call(request_id="short"), call(request_id="long", path="/" + "x" * 9000))

    assert [row.calls for row in found.report.callers] == [2]
    assert [last.request_id for last in found.details["nightly"].last_calls] == ["short"]
