import pytest

from proxy.callers.ledger.database import LedgerUnavailable
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.ledger.tables.files import Progress
from tests.callers.ledger.reading import counted, opened
from tests.callers.lines import NOW, call
from tests.support.ledgers import Connect


def test_tokens_that_the_service_accepted_are_known(connect: Connect) -> None:
    ledger = opened(connect)
    ledger.add(counted(call(NOW, token="0" * 12), call(NOW, token="1" * 12, status=401), call(NOW, token=None)))

    assert ledger.proven_tokens() == ["0" * 12]


def test_the_progress_differs_once_another_part_of_a_log_is_counted(connect: Connect) -> None:
    ledger, seen = opened(connect), []
    for file, begin, end in (("a", 0, 10), ("a", 10, 20), ("b", 0, 10)):
        seen.append(ledger.progress())
        assert ledger.progress() == seen[-1]
        ledger.add(counted(call(NOW)), progress=Progress(file, file, begin, end, NOW))
    assert len({*seen, ledger.progress()}) == 4


def test_what_is_not_a_ledger_is_refused(connect: Connect) -> None:
    with pytest.raises(LedgerUnavailable), Ledger(connect()).content():
        pass
