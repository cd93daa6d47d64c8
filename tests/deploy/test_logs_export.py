"""What deploy/logs ships, and exports by the commands of its README, is what `callers` and `ledger import` read."""

import json
import random
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.tools import DEPLOY
from tests.deploy.vector import CONFIG, Shipped, Vector
from tests.system.month import END

README = (DEPLOY / "logs" / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)```", README, re.MULTILINE | re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in re.sub(r"\\?\n  +", " ", block).splitlines()]


def exports() -> list[list[str]]:
    """The words of each command that exports lines, from which `callers` reads them."""
    into_callers = [line.removesuffix(" | trigger-shim callers -") for line in COMMANDS if "trigger-shim" in line]
    return [
        shlex.split(line) for line in into_callers if line.startswith(("clickhouse-client --query 'SELECT", "logcli"))
    ]


def reported(month: Path, log: bytes | str | list[str]) -> dict[str, Any]:
    """What the command says of an export, of a file, or with some options."""
    export = log if isinstance(log, bytes) else None
    read = ["-"] if export is not None else [log] if isinstance(log, str) else log
    words = [sys.executable, "-m", "proxy", "callers", "--format", "json", "--until", END.isoformat(), *read]
    ran = subprocess.run(words, cwd=month, input=export, check=True, capture_output=True)
    report: dict[str, Any] = json.loads(ran.stdout)
    return report


@pytest.fixture(scope="module")
def shipped(month: Path, vector: Vector) -> list[Shipped]:
    """What becomes of the month's lines."""
    found = [vector.ship(line) for line in (month / "callers.jsonl").read_bytes().splitlines()]
    return [one for one in found if one is not None]


@pytest.fixture(scope="module")
def of_the_file(month: Path) -> dict[str, Any]:
    """What the command says of the month's file."""
    return reported(month, "callers.jsonl")


def test_the_readme_pipes_whole_lines_of_each_store_into_callers() -> None:
    clickhouse, loki = exports()

    assert re.fullmatch(r"SELECT line FROM trigger_shim\.log FINAL .* FORMAT TSVRaw", clickhouse[-1])
    assert "--output=raw" in loki
    assert loki[-1] == '{service_name="trigger-shim"}'
    assert CONFIG["sinks"]["loki"]["labels"]["service_name"] == "trigger-shim"


def test_the_table_has_a_place_for_what_vector_sends() -> None:
    table = (DEPLOY / "logs" / "clickhouse.sql").read_text(encoding="utf-8")
    sink = CONFIG["sinks"]["clickhouse"]

    assert f"CREATE TABLE IF NOT EXISTS {sink['database']}.{sink['table']}\n" in table
    # The only column that is not made from the line.
    columns = re.findall(r"^    (\w+) +\w+", table.partition("(\n")[2].partition("\n)")[0], re.MULTILINE)
    made = re.findall(r"^    (\w+) +[^\n]*(?:\n +)?MATERIALIZED", table, re.MULTILINE)
    assert set(columns) - set(made) == {"line"}


def test_what_vector_ships_is_reported_as_the_file_is(
    month: Path, shipped: list[Shipped], of_the_file: dict[str, Any]
) -> None:
    assert reported(month, b"".join(one.line + b"\n" for one in shipped)) == of_the_file


@pytest.mark.parametrize("order", ["newest first", "any"])
def test_the_order_of_an_export_does_not_matter(month: Path, of_the_file: dict[str, Any], order: str) -> None:
    lines = (month / "callers.jsonl").read_bytes().splitlines(keepends=True)
    if order == "any":
        random.Random(1).shuffle(lines)  # noqa: S311
    else:
        lines.reverse()
    assert reported(month, b"".join(lines)) == of_the_file


def test_an_empty_ledger_is_made_again_from_an_export(
    month: Path, shipped: list[Shipped], of_the_file: dict[str, Any], tmp_path: Path
) -> None:
    ordered = sorted(shipped, key=lambda one: one.at)
    (tmp_path / "lines.jsonl").write_bytes(b"".join(one.line + b"\n" for one in ordered))
    [command] = [shlex.split(line) for line in COMMANDS if line.startswith("trigger-shim ledger import")]
    words = [sys.executable, "-m", "proxy", *command[1:], "--ledger", "new.db"]
    subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)

    made = reported(month, ["--ledger", str(tmp_path / "new.db")])
    assert {**made, "read": None} == {**of_the_file, "read": None}


def test_the_queries_for_loki_use_the_labels_that_lines_have(shipped: list[Shipped]) -> None:
    queries = re.findall(r"^\|.*`(.*\{service_name.*)` \|$", README, re.MULTILINE)
    labels = [one.labels | {"service_name": "trigger-shim"} for one in shipped]

    assert len(queries) == 3
    for query in queries:
        selector = re.findall(r'(\w+)(!?=)"([^"]*)"', query[query.index("{") : query.index("}")])
        assert any(all((had.get(name) == value) is (how == "=") for name, how, value in selector) for had in labels)
