from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.by_hand import ByHand, by_hand
from tests.support.ledgers import Connect, connections
from tests.support.postgresql import Postgresql, postgresql


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ByHand]:
    with by_hand(tmp_path_factory.mktemp("shared")) as hands:
        yield hands


@pytest.fixture
def hands(shared: ByHand) -> Iterator[ByHand]:
    yield shared
    shared.settle()


@pytest.fixture(scope="session")
def server() -> Iterator[Postgresql]:
    with postgresql() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connect]:
    is_file = request.param == "sqlite"
    with connections(tmp_path / "callers.db" if is_file else request.getfixturevalue("server").new_database()) as made:
        yield made
