import sys

import pytest

from proxy.callers.ledger.database import LedgerUnavailable
from proxy.callers.ledger.engines import connect


@pytest.mark.parametrize(
    ("address", "engine"),
    [("callers.db", "SqliteFile"), ("/var/c@llers:1.db", "SqliteFile"), ("postgresql://h/d", "PostgresqlServer")],
)
def test_the_address_names_the_engine(address: str, engine: str) -> None:
    assert type(connect(address)).__name__ == engine


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "proxy.callers.ledger.postgresql", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(LedgerUnavailable, match=r"pip install 'trigger-shim\[postgresql\]'"):
        connect("postgresql://host/database")
