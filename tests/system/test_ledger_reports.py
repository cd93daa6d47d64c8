"""A report is the same from the ledger as from the files of the log.

The golden logs are read in every way, from both engines. The logs of the verdicts differ in what a verdict needs, which
one report and one profile show.
"""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from proxy import config
from proxy.callers.ledger.file_counter import FileCounter
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.log.copies import without_copies
from proxy.callers.render import formats
from proxy.callers.render.profile import make_profile
from proxy.callers.report.aggregator import DIMENSIONS, Dimension
from proxy.callers.report.analysis import Analysis, Logs, Source, StoredLogs, analyze
from tests.support.ledgers import Connect, connections
from tests.system.golden import CASES, GOLDEN, moment

LOGS = [GOLDEN / name for name in CASES]
VERDICTS = sorted(file.parent for file in (Path(__file__).parent / "verdicts").glob("*/expected.yaml"))


def files(case: Path) -> list[str]:
    return [str(file) for file in sorted(case.iterdir()) if file.suffix not in {".yaml", ".md"}]


class Sources(NamedTuple):
    """The same calls twice, and how they are read."""

    logs: Logs
    stored: StoredLogs
    settings: config.Config
    now: datetime

    def agree(self, by: Dimension, **window: datetime) -> bool:
        of_logs, of_ledger = (report(one, self.settings, self.now, by, **window) for one in (self.logs, self.stored))
        return of_logs == of_ledger

    def agree_on_profiles(self) -> bool:
        of_logs, of_ledger = (profiles(one, self.settings, self.now) for one in (self.logs, self.stored))
        return of_logs == of_ledger


def sources(case: Path, connect: Connect) -> Sources:
    """The log of a case, as files and counted into a ledger."""
    now = moment(yaml.load((case / "expected.yaml").read_text(), yaml.CSafeLoader)["now"]).astimezone(UTC)
    ledger = Ledger(connect())
    ledger.open()
    counter = FileCounter(ledger, lambda: now)
    for log in without_copies(files(case), lambda _: None):
        counter.count(log.path, skip=log.skip)
    path = file if (file := case / "config.yaml").exists() else os.devnull
    return Sources(Logs(files(case)), StoredLogs(ledger), config.load(str(path), {}), now)


@pytest.mark.parametrize("case", LOGS, ids=lambda case: case.name)
def test_a_golden_log_gives_the_same_report_from_the_ledger(case: Path, connect: Connect) -> None:
    read = sources(case, connect)
    for by in DIMENSIONS:
        assert read.agree(by)
    for days in (1, 9, 40):
        since, until = read.now - timedelta(days=days, hours=5), read.now - timedelta(days=days // 3)
        assert read.agree("workflow", since=since, **({"until": until} if days == 9 else {}))
    assert read.agree_on_profiles()


@pytest.mark.parametrize("case", VERDICTS, ids=lambda case: case.name)
def test_a_log_has_the_same_verdict_from_the_ledger(case: Path, tmp_path: Path) -> None:
    with connections(tmp_path / "callers.db") as connect:
        read = sources(case, connect)
        assert read.agree("caller")
        assert read.agree("workflow", since=read.now - timedelta(days=9, hours=5), until=read.now - timedelta(days=3))
        assert read.agree_on_profiles()


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
