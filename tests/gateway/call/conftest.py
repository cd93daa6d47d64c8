from collections.abc import Iterator

import pytest

from tests.support.by_hand import ByHand, by_hand
from tests.support.ledgers import address, connect, server

__all__ = ["address", "connect", "server"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ByHand]:
    with by_hand(tmp_path_factory.mktemp("shared")) as hands:
        yield hands


@pytest.fixture
def hands(shared: ByHand) -> Iterator[ByHand]:
    yield shared
    shared.settle()
