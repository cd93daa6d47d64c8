import pytest

from proxy.callers.ledger.database import LedgerUnavailable
from proxy.callers.ledger.ledger import Ledger
from tests.callers.ledger.reading import opened
from tests.callers.lines import DAY, NOW
from tests.support.ledgers import Connect


def test_the_last_letter_of_each_owner_is_known(connect: Connect) -> None:
    ledger = opened(connect)
    assert ledger.last_letters() == {}
    ledger.add_letters(["team-a", "team-b"], NOW - 40 * DAY)
    ledger.add_letters(["team-a", "Teäm 'c'"], NOW)
    ledger.add_letters(["team-a"], NOW)

    assert ledger.last_letters() == {"team-a": NOW, "team-b": NOW - 40 * DAY, "Teäm 'c'": NOW}


def test_the_check_of_letters_writes_none(connect: Connect) -> None:
    ledger = opened(connect)
    ledger.add_letters(["team-a"], NOW)
    ledger.check_letters()

    with connect().transaction(writes=False) as transaction:
        assert list(transaction.fetch("SELECT COUNT(*) FROM letters")) == [(1,)]


def test_the_check_of_letters_fails_where_they_cannot_be_remembered(connect: Connect) -> None:
    with pytest.raises(LedgerUnavailable):
        Ledger(connect()).check_letters()
