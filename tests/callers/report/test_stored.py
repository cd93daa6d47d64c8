"""Parting the calls in a ledger by a period."""

import contextlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from proxy.callers.ledger import engines
from proxy.callers.ledger.ledger import Ledger
from proxy.callers.report.stored import StoredCalls, StoredPeriod
from tests.callers.lines import DAY, NOW, call
from tests.support.ledgers import fill

HOUR = timedelta(hours=1)


@pytest.fixture
def period(tmp_path: Path) -> Iterator[StoredPeriod]:
    """Two days, whose first and last day are there in part."""
    address = str(tmp_path / "callers.db")
    moments = [NOW - 3 * DAY, NOW - DAY - HOUR, NOW - DAY, NOW, NOW + HOUR, NOW + 5 * HOUR]
    fill(address, *[call(moment, user_agent=f"a/{number % 2}") for number, moment in enumerate(moments)])
    with contextlib.closing(Ledger(engines.connect(address))) as ledger, ledger.content() as content:
        yield StoredPeriod(content, NOW - DAY, NOW + HOUR)


def found(part: dict[int, StoredCalls]) -> dict[str, tuple[int, datetime, datetime]]:
    return {str(each.key.user_agent): (each.calls, each.first, each.last) for each in part.values()}


def test_calls_are_parted_by_the_hour(period: StoredPeriod) -> None:
    assert {name: calls for name, (calls, _, _) in found(period.inside).items()} == {"a/0": 1, "a/1": 1}
    assert {name: calls for name, (calls, _, _) in found(period.outside).items()} == {"a/0": 2, "a/1": 2}


def test_the_first_and_the_last_call_are_known(period: StoredPeriod) -> None:
    _, first, last = found(period.outside)["a/0"]
    assert (first, last) == (NOW - 3 * DAY, NOW + HOUR)
    _, first, last = found(period.inside)["a/0"]
    assert first == last == NOW - DAY
