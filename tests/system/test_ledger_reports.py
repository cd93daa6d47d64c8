"""A report is the same from the ledger as from the files of the log."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy import config
from proxy.callers.ledger.file_counter import FileCounter
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.log.copies import without_copies
from proxy.callers.render import formats
from proxy.callers.render.profile import make_profile
from proxy.callers.report.aggregator import DIMENSIONS
from proxy.callers.report.analysis import Analysis, Logs, Source, StoredLogs, analyze
from tests.support.ledgers import Connect
from tests.system.golden import GOLDEN, moment

HERE = Path(__file__).parent
CASES = sorted(
    folder for folder in (*GOLDEN.iterdir(), *(HERE / "verdicts").iterdir()) if (folder / "expected.yaml").exists()
)


def files(case: Path) -> list[str]:
    return [str(file) for file in sorted(case.iterdir()) if file.suffix not in {".yaml", ".md"}]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_golden_log_gives_the_same_report_from_the_ledger(case: Path, connect: Connect) -> None:
    expected = yaml.safe_load((case / "expected.yaml").read_text())
    now = moment(expected["now"]).astimezone(UTC)
    ledger = Ledger(connect())
    ledger.open()
    counter = FileCounter(ledger, lambda: now)
    for log in without_copies(files(case), lambda _: None):
        counter.count(log.path, skip=log.skip)

    path = case / "config.yaml"
    settings = config.load(str(path) if path.exists() else None, {})
    logs, stored = Logs(files(case)), StoredLogs(ledger)
    for by in DIMENSIONS:
        assert report(stored, settings, now, by) == report(logs, settings, now, by)
    for days in (1, 9, 40):
        since, until = now - timedelta(days=days, hours=5), now - timedelta(days=days // 3)
        window = {"since": since, "until": until} if days == 9 else {"since": since}
        assert report(stored, settings, now, "workflow", **window) == report(logs, settings, now, "workflow", **window)
    assert profiles(stored, settings, now) == profiles(logs, settings, now)


def report(source: Source, settings: config.Config, now: datetime, by: Any, **window: datetime) -> dict[str, Any]:
    analysis = analyzed(source, settings, now, by=by, **window)
    found: dict[str, Any] = json.loads("".join(formats.to_json(analysis.report, analysis.report.rows, analysis.read)))
    found.pop("read")
    return found


def profiles(source: Source, settings: config.Config, now: datetime) -> dict[str, Any]:
    analysis = analyzed(source, settings, now, wants_detail=lambda _: True)
    rows = {row.name: row for row in analysis.report.rows}
    found = {name: make_profile(row, analysis.detail_of(name), settings.upstream.url) for name, row in rows.items()}
    return {name: json.loads(formats.profile_to_json(profile)) for name, profile in found.items()}


def analyzed(source: Source, settings: config.Config, now: datetime, **options: Any) -> Analysis:
    callers = settings.callers
    return analyze(source, callers.known, now, policy=settings.lifecycle, gone=callers.gone, **options)
