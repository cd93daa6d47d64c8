"""Each operation once under load; `make operations` goes on for a minute."""

import asyncio
from pathlib import Path

import pytest

from tests.operations.__main__ import WAYS, Way, operate


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.title)
def test_no_call_is_lost_and_none_refused(tmp_path: Path, way: Way) -> None:
    assert asyncio.run(operate(way, tmp_path, seconds=0, count=10)) == []
