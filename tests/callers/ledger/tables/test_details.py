from datetime import timedelta

from tests.callers.ledger.reading import counted, opened
from tests.callers.lines import NOW, call
from tests.support.ledgers import Connect


def test_the_last_calls_and_what_they_said_are_kept(connect: Connect) -> None:
    one, other = opened(connect), opened(connect)
    one.add(counted(*[call(NOW + timedelta(minutes=n), ignored_fields=["image"], inputs=["env"]) for n in range(8)]))
    other.add(counted(*[call(NOW - timedelta(minutes=n), inputs=["mode"], request_id=f"r{n}") for n in range(1, 9)]))
    with one.content() as content:
        [(_, details)] = content.details(list(content.keys()))

    assert [last.ts for last in details.last_calls] == [NOW + timedelta(minutes=n) for n in range(-2, 8)]
    assert (details.ignored_fields, details.inputs) == ({"image": 8}, ["env", "mode"])
    assert (details.last, details.method) == (NOW + timedelta(minutes=7), "POST")
