"""Thousands of calls with faults mixed in; `make soak` makes hundreds of thousands."""

import pytest

from tests.soak.audit import by_outcome
from tests.soak.plan import FATES
from tests.soak.soak import Order, Result, soak

ORDER = Order(calls=1500, warm_up=300, seed=1, workers=1, silence=False)
"""Without calls that last until the time of the upstream is over: one takes longer than all the others."""


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return soak(ORDER, tmp_path_factory.mktemp("soak"))


def test_nothing_is_lost_nothing_is_sent_twice_and_nothing_grows(result: Result) -> None:
    assert result.problems == []


def test_every_fault_was_met_and_every_call_made(result: Result) -> None:
    evidence = result.evidence
    assert {name.rpartition(".")[2] for name in evidence.account.received} == FATES.keys() - {"silent"}
    assert by_outcome(evidence.records).keys() >= {"forwarded", "upstream_error", "rejected", "redelivered"}
    assert sum(call.first is None for call in evidence.calls.values()) == ORDER.calls
    assert evidence.account.restarts > 0
