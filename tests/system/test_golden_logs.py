"""The golden logs (golden_logs/README.md), each read as a user would name its files."""

from typing import Any

import pytest
import yaml

from proxy.callers.report.analysis import Analysis, Logs, analyze
from tests.system.golden import CASES, GOLDEN, logs, moment


@pytest.mark.parametrize("case", CASES)
def test_a_report_matches_its_golden_log(case: str) -> None:
    expected = yaml.safe_load((GOLDEN / case / "expected.yaml").read_text())
    expected.pop("why")
    analysis = analyze(Logs(logs(case)), [], moment(expected.pop("now")))
    report = analysis.report

    check_reading(expected, analysis)
    assert report.verdict == expected.pop("verdict"), report.reasons
    assert report.safe_at == expected.pop("safe_at")
    assert report.retired == expected.pop("retired")
    assert report.coverage.share == pytest.approx(expected.pop("coverage"), abs=1e-6)
    assert [list(gap) for gap in report.coverage.gaps] == expected.pop("gaps", [])
    check_reasons(expected.pop("reasons"), report.reasons)
    check_callers(expected.pop("callers"), analysis)
    assert expected == {}, "the corpus has a key that nothing reads"


def check_reading(expected: dict[str, Any], analysis: Analysis) -> None:
    if "read" in expected:
        assert analysis.read._asdict() == expected.pop("read")


def check_reasons(expected: Any, reasons: list[str]) -> None:
    if isinstance(expected, int):
        assert len(reasons) == expected
        return
    assert len(reasons) == len(expected), reasons
    assert all(reason.startswith(begin) for reason, begin in zip(reasons, expected, strict=True)), reasons


def check_callers(expected: Any, analysis: Analysis) -> None:
    rows = {row.name: row._asdict() | row.counts for row in analysis.report.all_callers}
    if isinstance(expected, int):
        assert len(rows) == expected
        return
    assert rows.keys() == expected.keys()
    found = {name: {key: rows[name][key] for key in values} for name, values in expected.items()}
    assert found == expected
