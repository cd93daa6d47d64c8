from collections.abc import Iterator

import pytest

from proxy.gateway.call import tries_link
from tests.support.by_hand import ByHand, by_hand
from tests.support.ledgers import address, connect, server
from tests.support.waiting import PATIENCE

__all__ = ["address", "connect", "server"]


@pytest.fixture(autouse=True)
def patient_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no ledger that is down: a retry waits for it."""
    monkeypatch.setattr(tries_link, "GRACE", PATIENCE)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ByHand]:
    with by_hand(tmp_path_factory.mktemp("shared")) as hands:
        yield hands


@pytest.fixture
def hands(shared: ByHand) -> Iterator[ByHand]:
    yield shared
    shared.settle()
