"""Reports on made-up records."""

import random
from datetime import datetime
from pathlib import Path
from typing import Any

from proxy.callers.record import Record
from proxy.callers.report.analysis import Analysis, Logs, analyze
from proxy.callers.report.report import CallerReport
from proxy.callers.report.rows import Row
from tests.callers.lines import DAY, NOW, beats, call, log


def analyzed(folder: Path, *records: Record, rules: Any = (), now: datetime = NOW, **options: Any) -> Analysis:
    """What a log of these records says, with the details of all callers."""
    file = folder / "callers.jsonl"
    file.write_bytes(log(*records))
    return analyze(Logs([str(file)]), list(rules), now, wants_detail=lambda _: True, **options)


def reported(folder: Path, *records: Record, **options: Any) -> CallerReport:
    """The report on these records."""
    return analyzed(folder, *records, **options).report


def row_of(report: CallerReport, name: str = "nightly") -> Row:
    """The row of a caller."""
    return next(row for row in report.callers if row.name == name)


def mixed(seed: int) -> list[Record]:
    """Many different records."""
    chance = random.Random(seed)  # noqa: S311
    records: list[Record] = [*beats(NOW - 40 * DAY, instance="a:1"), *beats(NOW - 35 * DAY, instance="b:1")]
    records += [
        call(
            NOW - chance.random() * 40 * DAY,
            chance.choice(["a", "b", "c"]),
            owner=chance.choice(["x", None]),
            status=chance.choice([200, 404]),
            repo=chance.choice(["shop", "web"]),
            run_user=chance.choice(["alice", "bob", None]),
        )
        for _ in range(300)
    ]
    return records
