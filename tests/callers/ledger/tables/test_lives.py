from datetime import timedelta
from typing import Any

import pytest

from proxy.callers.log.lives import Lives
from proxy.callers.record import CallRecord, Heartbeat
from tests.callers.ledger.reading import counted, opened
from tests.callers.lines import DAY, NOW, beats, call
from tests.support.ledgers import Connect

HOUR = timedelta(hours=1)


def lives(found: Any) -> list[tuple[Any, ...]]:
    return [(life.first, life.last_beat, life.seen, life.due, life.has_stopped) for life in found]


@pytest.mark.parametrize("size", [1, 3, 100])
def test_lives_are_those_of_the_log_however_they_come(connect: Connect, size: int) -> None:
    ledger = opened(connect)
    heartbeats = [*beats(NOW - 3 * DAY, NOW - DAY), *beats(NOW - 12 * HOUR)]
    records: list[CallRecord | Heartbeat] = [*heartbeats, call(NOW, instance=heartbeats[0].instance)]
    for begin in range(0, len(records), size):
        ledger.add(counted(*records[begin : begin + size]))
    with ledger.content() as content:
        stored = lives(content.lives())

    expected = Lives(heartbeats)
    [mine] = expected.by_process()
    mine[-1].seen = NOW
    assert stored == lives(mine)
