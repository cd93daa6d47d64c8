"""What tests ask of a ledger."""

from proxy.callers.ledger.counts import Counts, Strangers
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.log.envelope import decode
from proxy.callers.record import Record
from tests.callers.lines import DAY, NOW, line
from tests.support.ledgers import Connect


def counted(*records: Record, strangers: Strangers | None = None) -> Counts:
    """Records, added up."""
    lines = [line(record) for record in records]
    counts = Counts(strangers or Strangers())
    counts.add([decode(text) for text in lines], lines, NOW + DAY)
    return counts


def opened(connect: Connect) -> Ledger:
    ledger = Ledger(connect())
    ledger.open()
    return ledger
