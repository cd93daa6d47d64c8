from datetime import datetime, timedelta

from proxy.callers.ledger.proven import ProvenTokens
from tests.callers.ledger.reading import counted, opened
from tests.callers.lines import NOW, call
from tests.support.ledgers import Connect


def test_tokens_that_another_host_saw_accepted_are_known_within_the_hour(connect: Connect) -> None:
    now = NOW
    here, other = opened(connect), opened(connect)

    def clock() -> datetime:
        return now

    tokens = ProvenTokens(here, clock)
    assert tokens.strangers().proven == set()
    other.add(counted(call(NOW, token="0" * 12)))
    now += timedelta(minutes=59)
    assert tokens.strangers().proven == set()
    now += timedelta(minutes=1)
    assert tokens.strangers().proven == {"0" * 12}


def test_keys_that_strangers_have_are_known(connect: Connect) -> None:
    ledger = opened(connect)
    others = [call(NOW, name, token=token, status=401) for name, token in (("a", None), ("b", "1" * 12))]
    ledger.add(counted(*others, call(NOW, token="0" * 12), call(NOW, token="0" * 12, status=404)))
    tokens = ProvenTokens(ledger, lambda: NOW)

    assert len(tokens.strangers().stored) == 2
    assert len(ledger.keys_of_strangers()) == 2
