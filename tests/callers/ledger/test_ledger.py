import pytest

from proxy.callers.ledger.database import LedgerUnavailable
from proxy.callers.ledger.ledger import Ledger
from tests.callers.ledger.reading import counted, opened
from tests.callers.lines import NOW, call
from tests.support.ledgers import Connect


def test_tokens_that_the_service_accepted_are_known(connect: Connect) -> None:
    ledger = opened(connect)
    ledger.add(counted(call(NOW, token="0" * 12), call(NOW, token="1" * 12, status=401), call(NOW, token=None)))

    assert ledger.proven_tokens() == ["0" * 12]


def test_what_is_not_a_ledger_is_refused(connect: Connect) -> None:
    with pytest.raises(LedgerUnavailable), Ledger(connect()).content():
        pass
