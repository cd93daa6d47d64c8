"""What several tests look at."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.callers.month import simulate
from tests.deploy.clickhouse import ClickHouse, clickhouse
from tests.deploy.vector import Vector


@pytest.fixture(scope="session")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with a month's log and its configuration (tests/callers/month.py); not to be written to."""
    folder = tmp_path_factory.mktemp("month")
    simulate(folder)
    return folder


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
