from datetime import timedelta

from proxy.callers.ledger.forget import forget_callers
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.ledger.tables.current_calls import CurrentDay
from tests.callers.ledger.reading import opened
from tests.callers.lines import DAY, NOW, call
from tests.support.ledgers import Connect, fill

HOUR = timedelta(hours=1)
TODAY = NOW.toordinal()


def stored(ledger: Ledger) -> list[tuple[str, CurrentDay]]:
    with ledger.content() as content:
        return list(content.current_calls())


def test_calls_of_known_tokens_are_added_up_by_day(connect: Connect, address: str) -> None:
    fill(address, call(token="a"), call(token="b"), call(token="failed", status=401, outcome="upstream_error"))
    one, other = opened(connect), opened(connect)
    one.add_current_calls({("a", TODAY): CurrentDay(2, NOW, NOW + HOUR), ("made up", TODAY): CurrentDay(9, NOW, NOW)})
    other.add_current_calls({("a", TODAY): CurrentDay(3, NOW - HOUR, NOW), ("failed", TODAY): CurrentDay(9, NOW, NOW)})
    other.add_current_calls({("b", TODAY - 1): CurrentDay(1, NOW - DAY, NOW - DAY)})

    assert stored(one) == [("b", CurrentDay(1, NOW - DAY, NOW - DAY)), ("a", CurrentDay(5, NOW - HOUR, NOW + HOUR))]


def test_they_are_forgotten_with_their_caller(connect: Connect, address: str) -> None:
    fill(address, call(token="a"), call(caller="other", token="b"))
    ledger = opened(connect)
    ledger.add_current_calls({(token, TODAY): CurrentDay(1, NOW, NOW) for token in "ab"})
    forget_callers(connect(), lambda key: "nightly" in key)

    assert stored(ledger) == [("b", CurrentDay(1, NOW, NOW))]
