"""Records that are aggregated with narrow limits."""

from collections.abc import Iterable
from datetime import datetime

from proxy.callers.log.envelope import decode
from proxy.callers.record import Record
from proxy.callers.report.aggregator import DEFAULT_LIMITS, Aggregator, Dimension
from tests.callers.lines import DAY, NOW, line
from tests.callers.policies import rule


def aggregated(
    records: Iterable[Record],
    by: Dimension = "caller",
    *,
    batch: int = 3,
    latest: datetime = NOW + DAY,
    **limits: int,
) -> Aggregator:
    """Records counted in batches, with narrow limits."""
    found = Aggregator(
        [rule("nightly")], by, wants_detail=lambda _: True, limits=DEFAULT_LIMITS._replace(**limits), latest=latest
    )
    lines = [line(record) for record in records]
    found.add(([decode(text) for text in part], part) for part in _parts(lines, batch))
    return found


def _parts(lines: list[bytes], size: int) -> list[list[bytes]]:
    return [lines[start : start + size] for start in range(0, len(lines), size)]


def calls_of(found: Aggregator) -> dict[str, int]:
    return {tally.caller: tally.calls for tally in found.tallies().values()}
