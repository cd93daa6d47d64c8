"""Letters to made-up owners."""

from pathlib import Path
from typing import Any

from proxy.callers.record import Record
from proxy.callers.render.letters import Letter, by_owner, make_letter
from proxy.withdrawn.lifecycle import Policy
from tests.callers.render.profiles import BASE
from tests.callers.reports import analyzed


def letter(
    folder: Path, *records: Record, owner: str = "team-a", sender: str | None = None, policy: Policy, **options: Any
) -> Letter:
    """The letter to an owner about a log of these records."""
    analysis = analyzed(folder, *records, policy=policy, **options)
    rows = by_owner(analysis.report.callers)[owner]
    return make_letter(owner, rows, analysis, policy, base=BASE, sender=sender)
