"""How long each copy of the calls is kept, and whether decisions can be made on that."""

import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from proxy.callers.report.aggregator import LEDGER_REACH
from proxy.callers.report.rhythm import DAY, UNKNOWN_RETIRED_AFTER
from tests.callers.lines import beats, call
from tests.commands.running import Run
from tests.deploy.tools import DEPLOY
from tests.support.ledgers import fill

PAGE = (DEPLOY / "RETENTION.md").read_text(encoding="utf-8")
LOGROTATE = (DEPLOY / "systemd" / "logrotate").read_text(encoding="utf-8")
TABLE = (DEPLOY / "logs" / "clickhouse.sql").read_text(encoding="utf-8")

REACH = UNKNOWN_RETIRED_AFTER // DAY + LEDGER_REACH.days
"""Days that a ledger made from the logs must know: callers without a rhythm, and those before a freeze."""


def number(pattern: str, text: str) -> int:
    [found] = re.findall(pattern, text, re.MULTILINE)
    return int(found)


def test_the_page_says_for_how_long_the_files_of_deploy_keep_the_lines() -> None:
    weeks = number(r"^ +rotate (\d+)$", LOGROTATE)
    assert "weekly" in LOGROTATE.split()
    assert f"two years with [`logrotate`](systemd/logrotate) (`rotate {weeks}`)" in PAGE
    assert weeks * 7 // 364 == number(r"TTL toDateTime\(ts\) \+ INTERVAL (\d) YEAR", TABLE) == 2


def test_the_shortest_time_that_the_page_proposes_is_enough_for_decisions() -> None:
    weeks = number(r"^`rotate (\d+)` in `logrotate`", PAGE)
    assert number(r"`INTERVAL (\d+) DAY`", PAGE) == weeks * 7
    assert f"({int(UNKNOWN_RETIRED_AFTER // DAY)} and {LEDGER_REACH.days} days" in PAGE
    assert weeks * 7 >= REACH


def test_what_the_page_says_deletes_a_persons_from_the_ledger(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    address = str(tmp_path / "callers.db")
    (tmp_path / "config.yaml").write_text(f"ledger: {address}\n")
    personal = {"run_user": "u-alice", "client_ip": "192.0.2.77"}
    at = datetime.now(UTC) - timedelta(days=2)
    fill(address, *beats(at, at), call(at, "alice", **personal), call(at, "nightly", **personal))
    for command in re.findall(r"^trigger-shim (ledger forget .*?) +#", PAGE, re.MULTILINE):
        assert run(*shlex.split(command)).status == 0
    kept = b"".join(file.read_bytes() for file in tmp_path.glob("callers.db*"))
    assert b"nightly" in kept
    for text in (b"alice", b"192.0.2.77"):
        assert text not in kept
