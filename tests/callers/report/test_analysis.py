from pathlib import Path

from proxy.callers.report.analysis import analyze
from tests.callers.lines import NOW, call, log
from tests.callers.reports import mixed


def test_records_may_be_spread_over_files_in_any_way(tmp_path: Path) -> None:
    records = mixed(3)
    (tmp_path / "all").write_bytes(log(*records))
    for part in range(7):
        (tmp_path / str(part)).write_bytes(log(*records[part::7]))
    parts = analyze([str(tmp_path / str(part)) for part in range(7)], [], NOW)

    assert parts.report == analyze([str(tmp_path / "all")], [], NOW).report
    assert parts.read.files == 7


def test_details_are_kept_for_the_requested_callers_only(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(log(call(client_ip="10.1.2.3"), call(caller="other", client_ip="10.9.9.9")))
    details = analyze([str(tmp_path / "log")], [], NOW, wants_detail="nightly".__eq__).details

    assert {name: detail.counts["addresses"] for name, detail in details.items()} == {"nightly": {"10.1.2.3": 1}}
