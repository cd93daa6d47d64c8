from pathlib import Path

import pytest

from proxy.callers.ledger.ledger import Ledger
from tests.callers.ledger.reading import opened
from tests.support.ledgers import Connect, address, connect, server

__all__ = ["address", "connect", "server"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a log may be."""
    return tmp_path / "callers.jsonl"


@pytest.fixture
def ledger(connect: Connect) -> Ledger:
    """A new ledger."""
    return opened(connect)
