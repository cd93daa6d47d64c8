"""What tests ask of a ledger."""

from proxy.callers.ledger.ledger import Ledger
from tests.support.ledgers import Connect


def opened(connect: Connect) -> Ledger:
    ledger = Ledger(connect())
    ledger.open()
    return ledger


def calls_by_caller(ledger: Ledger) -> dict[str, int]:
    with ledger.content() as content:
        names = {number: key[1] for number, key in content.keys().items()}
        found: dict[str, int] = {}
        for _, key, _, _, calls, _ in content.days(0, 10**6):
            found[names[key]] = found.get(names[key], 0) + calls
    return found
