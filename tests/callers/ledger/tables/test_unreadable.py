from datetime import timedelta

from proxy.callers.log.unreadable import Unreadable
from tests.callers.ledger.reading import counted, opened
from tests.callers.lines import NOW
from tests.support.ledgers import Connect

HOUR = timedelta(hours=1)


def test_what_cannot_be_read_is_kept_by_day(connect: Connect) -> None:
    ledger = opened(connect)
    for last, places in ((NOW + HOUR, "ab"), (NOW, "cd"), (None, "e")):
        found = Unreadable()
        for place in places:
            found.add(f"{place}.jsonl line 1", last, 2)
        ledger.add(counted(), found)
    with ledger.content() as content:
        days = content.unreadable().days

    assert {day: (each.count, each.last, each.places) for day, each in days.items()} == {
        NOW.toordinal(): (8, NOW + HOUR, ["a.jsonl line 1", "b.jsonl line 1", "c.jsonl line 1"]),
        None: (2, None, ["e.jsonl line 1"]),
    }
