import pytest

from proxy.callers.ledger.tables.files import Counted, CountedMeanwhile, Progress
from tests.callers.ledger.reading import counted, opened
from tests.callers.lines import DAY, NOW, call
from tests.support.ledgers import Connect, calls_by_caller


def test_a_part_of_the_log_is_counted_once(connect: Connect) -> None:
    one, other = opened(connect), opened(connect)
    one.add(counted(call(NOW)), progress=Progress("f1", "callers.jsonl", 0, 700, NOW))
    with pytest.raises(CountedMeanwhile):
        other.add(counted(call(NOW)), progress=Progress("f1", "callers.jsonl", 0, 900, NOW))
    other.add(counted(call(NOW)), progress=Progress("f1", "callers.jsonl.1", 700, 900, NOW + DAY, 2))

    assert one.counted("f1") == Counted(900, 2, NOW + DAY, [])
    assert one.counted("f2") is None
    assert calls_by_caller(one) == {"nightly": 2}
