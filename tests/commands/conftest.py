import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.commands import log_options
from tests.callers.lines import DAY, NOW, beats, log
from tests.commands.running import alone, run, screen
from tests.commands.samples import nightly
from tests.support.ledgers import address, server

__all__ = ["address", "alone", "run", "screen", "server"]


@pytest.fixture
def fixed_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """It is `NOW`, and the machine is in Berlin."""
    monkeypatch.setattr(log_options, "now", lambda: NOW)
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def planned(tmp_path: Path) -> Any:
    """Writes a policy, and a log next to it."""

    def write(lifecycle: dict[str, Any], *rules: dict[str, Any], records: Any = None) -> None:
        values = {"lifecycle": lifecycle, "callers": {"log": "calls.jsonl", "known": list(rules)}}
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
        if records is not None:
            (tmp_path / "calls.jsonl").write_bytes(log(*records))

    return write


@pytest.fixture
def file(tmp_path: Path) -> str:
    records = [
        *beats(NOW - 80 * DAY),
        *nightly(40, 1, owner="team-a", run_user="alice"),
        *nightly(80, 40, "moved", owner="team-b", run_user="bob"),
        *nightly(30, 2, "10.1.2.3 curl/8", status=504, outcome="timeout"),
    ]
    (tmp_path / "callers.jsonl").write_bytes(log(*records))
    return str(tmp_path / "callers.jsonl")
