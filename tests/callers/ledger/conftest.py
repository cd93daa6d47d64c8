from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ledgers import Connect, connections
from tests.support.postgresql import Postgresql, postgresql


@pytest.fixture(scope="session")
def server() -> Iterator[Postgresql]:
    with postgresql() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connect]:
    is_file = request.param == "sqlite"
    with connections(tmp_path / "callers.db" if is_file else request.getfixturevalue("server").new_database()) as made:
        yield made
