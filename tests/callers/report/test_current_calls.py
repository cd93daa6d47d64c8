from pathlib import Path

from proxy.callers.ledger import engines
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.ledger.tables.current_calls import CurrentDay
from proxy.callers.report.current_calls import CurrentCallsByCaller
from tests.callers.lines import DAY, NOW, call
from tests.support.ledgers import fill

LATER, EARLIER = CurrentDay(1, NOW, NOW), CurrentDay(2, NOW - DAY, NOW - DAY)


def test_calls_belong_to_the_only_caller_of_their_token(tmp_path: Path) -> None:
    address = str(tmp_path / "callers.db")
    fill(address, *(call(token=token) for token in "abc"))
    ledger = Ledger(engines.connect(address))
    days = {("a", NOW.toordinal()): LATER, ("b", NOW.toordinal() - 1): EARLIER, ("c", NOW.toordinal()): LATER}
    ledger.add_current_calls(days)
    found = CurrentCallsByCaller()
    with ledger.content() as content:
        found.read(content)
    for caller, token in (("one", "a"), ("one", "b"), ("one", "c"), ("two", "c"), ("two", "d"), ("two", None)):
        found.learn(caller, token)

    assert found.by_caller() == {"one": [EARLIER, LATER]}
    ledger.close()
