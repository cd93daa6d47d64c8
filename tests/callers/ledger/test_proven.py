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
