"""What several tests look at."""

from pathlib import Path

import pytest

from tests.support.ledgers import address, connect, server
from tests.system.month import simulate

__all__ = ["address", "connect", "month", "server"]


@pytest.fixture(scope="session")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with a month's log and its configuration (month.py); not to be written to."""
    folder = tmp_path_factory.mktemp("month")
    simulate(folder)
    return folder
