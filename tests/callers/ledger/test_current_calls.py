from datetime import datetime, timedelta

import pytest

from proxy.callers.identity import fingerprint
from proxy.callers.ledger import current_calls
from proxy.callers.ledger.current_calls import INTERVAL, CurrentCalls
from proxy.callers.ledger.database import LedgerUnavailable
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.ledger.tables.current_calls import CurrentDay
from tests.callers.lines import NOW

KEY = b"key"
TODAY = NOW.toordinal()
ONE, OTHER = fingerprint(KEY, "one"), fingerprint(KEY, "other")


class Place(Ledger):
    """A ledger that remembers what it is given.

    Attributes:
        is_away: whether it cannot be reached.
    """

    def __init__(self) -> None:
        self.added: list[dict[tuple[str, int], CurrentDay]] = []
        self.is_away = False

    def add_current_calls(self, days: object) -> None:
        if self.is_away:
            raise LedgerUnavailable("it is away")
        assert isinstance(days, dict)
        self.added.append(days)

    def close(self) -> None:
        pass


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


def made() -> tuple[CurrentCalls, Place, Clock]:
    place, clock = Place(), Clock()
    return CurrentCalls(KEY, place, clock), place, clock


def test_calls_are_added_by_token_after_a_while() -> None:
    calls, place, clock = made()
    for header in (b"Bearer one", b"Bearer other", b"Bearer one", None, b""):
        calls.add(header)
    clock.now += INTERVAL - timedelta(seconds=1)
    calls.flush()
    assert place.added == []
    clock.now += timedelta(seconds=1)
    calls.flush()
    clock.now += INTERVAL
    calls.flush()

    first, last = NOW, NOW + INTERVAL
    assert place.added == [
        {(ONE, TODAY): CurrentDay(2, first, last), (OTHER, TODAY): CurrentDay(1, first, last)},
    ]


def test_at_the_end_they_are_added_at_once() -> None:
    calls, place, _ = made()
    calls.add(b"Bearer one")
    calls.flush(at_end=True)

    assert place.added == [{(ONE, TODAY): CurrentDay(1, NOW, NOW)}]


def test_while_the_ledger_is_away_they_are_kept() -> None:
    calls, place, clock = made()
    place.is_away = True
    for _ in range(3):
        calls.add(b"Bearer one")
        clock.now += INTERVAL
        calls.flush()
    place.is_away = False
    clock.now += INTERVAL
    calls.flush()

    assert place.added == [{(ONE, TODAY): CurrentDay(3, NOW, NOW + 3 * INTERVAL)}]


def test_the_number_of_tokens_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current_calls, "MOST_TOKENS", 2)
    calls, place, _ = made()
    for number in (1, 2, 3, 1):
        calls.add(b"Bearer %d" % number)
    calls.flush(at_end=True)

    assert sorted(day.calls for day in place.added[0].values()) == [1, 2]
