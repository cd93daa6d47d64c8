"""Sixty lost tries over four processes that are killed; `make soak` makes ten thousand."""

from pathlib import Path

from tests.soak.tries import Result, soak
from tests.support.postgresql import postgresql


def check(result: Result) -> None:
    assert result.problems == []
    assert len(result.kills) == 2
    assert result.ends["taken over"] > 30


def test_each_try_has_one_run_with_sqlite(tmp_path: Path) -> None:
    check(soak(str(tmp_path / "callers.db"), tmp_path, tries=60, kills=2))


def test_each_try_has_one_run_with_postgresql_and_clocks_an_hour_apart(tmp_path: Path) -> None:
    with postgresql() as server:
        check(soak(server.new_database(), tmp_path, tries=60, kills=2))
