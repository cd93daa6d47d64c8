"""What several tests look at."""

from collections.abc import Iterator

import pytest

from tests.callers.conftest import month
from tests.deploy.clickhouse import ClickHouse, clickhouse
from tests.deploy.vector import Vector

__all__ = ["month"]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    with clickhouse(tmp_path_factory.mktemp("clickhouse")) as running:
        yield running


@pytest.fixture
def store(server: ClickHouse) -> ClickHouse:
    """An empty one."""
    server.query("TRUNCATE TABLE trigger_shim.log")
    return server


@pytest.fixture(scope="session")
def vector() -> Vector:
    return Vector()
