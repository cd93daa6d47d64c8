"""The commands of deploy/logs/README.md: what they export is what `trigger-shim callers` reads."""

import json
import random
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.clickhouse import ClickHouse
from tests.deploy.tools import DEPLOY
from tests.deploy.vector import Vector
from tests.system.month import END

README = (DEPLOY / "logs" / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)```", README, re.MULTILINE | re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in re.sub(r"\\?\n  +", " ", block).splitlines()]
QUERIES = re.findall(r"^```sql\n(.*?)```", README, re.MULTILINE | re.DOTALL)


def command(beginning: str, end: str) -> list[str]:
    """The words of the README's only command that begins and ends so."""
    (found,) = [line for line in COMMANDS if line.startswith(beginning) and line.endswith(end)]
    return shlex.split(found.removesuffix(end))


def reported(month: Path, log: bytes | str) -> dict[str, Any]:
    """What the command says of an export, or of a file."""
    name, export = (log, None) if isinstance(log, str) else ("-", log)
    words = [sys.executable, "-m", "proxy", "callers", "--format", "json", "--until", END.isoformat(), name]
    ran = subprocess.run(words, cwd=month, input=export, check=True, capture_output=True)
    report: dict[str, Any] = json.loads(ran.stdout)
    return report


@pytest.fixture
def loaded(month: Path, store: ClickHouse, vector: Vector) -> ClickHouse:
    """It has the month, each line twice."""
    rows = vector.rows((month / "callers.jsonl").read_bytes())
    store.insert(rows)
    store.insert(rows)
    return store


def test_what_clickhouse_exports_is_reported_as_the_file_is(month: Path, loaded: ClickHouse) -> None:
    client, option, sql = command("clickhouse-client --query 'SELECT line", " | trigger-shim callers -")
    assert (client, option) == ("clickhouse-client", "--query")
    exported = loaded.query(sql)
    assert sorted(exported.splitlines()) == sorted((month / "callers.jsonl").read_bytes().splitlines())
    assert reported(month, exported) == reported(month, "callers.jsonl")


def test_old_logs_can_be_loaded_and_what_is_no_record_is_gone_by_itself(
    month: Path, store: ClickHouse, tmp_path: Path
) -> None:
    *_, sql = command("zcat --force", "")
    content = (month / "callers.jsonl").read_bytes()
    log = tmp_path / "callers.jsonl"
    log.write_bytes(content + b'torn {"event\n\x00\xff\n' + content[:100] + b"\n")
    store.query(sql.replace("FORMAT LineAsString", f"FROM INFILE '{log}' FORMAT LineAsString"))
    unknown = "SELECT countIf(event = '') AS unknown, count() - unknown AS known FROM trigger_shim.log"
    assert store.rows(unknown) == [{"unknown": 3, "known": content.count(b"\n")}]
    store.query("SYSTEM START TTL MERGES trigger_shim.log")
    store.query("OPTIMIZE TABLE trigger_shim.log FINAL")
    store.query("SYSTEM STOP TTL MERGES trigger_shim.log")
    assert store.rows(unknown)[0]["unknown"] == 0


@pytest.mark.parametrize("order", ["newest first", "any"])
def test_the_order_of_an_export_does_not_matter(month: Path, order: str) -> None:
    lines = (month / "callers.jsonl").read_bytes().splitlines(keepends=True)
    if order == "any":
        random.Random(1).shuffle(lines)  # noqa: S311
    else:
        lines.reverse()
    assert reported(month, b"".join(lines)) == reported(month, "callers.jsonl")


def test_lines_that_come_twice_are_counted_twice(month: Path) -> None:
    content = (month / "callers.jsonl").read_bytes()
    once, twice = reported(month, content), reported(month, content + content)
    assert [row["calls"] for row in twice["callers"]] == [2 * row["calls"] for row in once["callers"]]


@pytest.mark.parametrize("sql", QUERIES)
def test_the_queries_of_the_readme_find_something(sql: str, loaded: ClickHouse) -> None:
    end = f"toDateTime64('{END:%Y-%m-%d %H:%M:%S}', 6, 'UTC')"
    assert loaded.query(sql.strip().removesuffix(";").replace("now()", end))
