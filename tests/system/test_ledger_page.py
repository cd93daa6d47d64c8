"""The commands and the SQL that the documentation of the ledger shows, on the month's log (month.py)."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from proxy.callers.ledger import schema
from tests.callers.lines import NOW, call
from tests.support.ledgers import Connect, fill
from tests.support.paths import ROOT

PAGE = (ROOT / "proxy/callers/README.md").read_text(encoding="utf-8").partition("\n## The ledger\n")[2]
[SHOWN] = re.findall(r"```console\n(\$ trigger-shim ledger .*?)```", PAGE, re.DOTALL)
[QUERY] = re.findall(r"```sql\n(--.*?)```", PAGE, re.DOTALL)


def test_the_commands_are_real(month: Path, tmp_path: Path) -> None:
    shutil.copy(month / "callers.jsonl", tmp_path)
    shown = ""
    for command in re.findall(r"^\$ trigger-shim (.*)$", SHOWN, re.MULTILINE):
        ran = subprocess.run(
            [sys.executable, "-m", "proxy", *shlex.split(command)],
            cwd=tmp_path,
            env=os.environ | {"TRIGGER_SHIM__CALLERS__LOG": "callers.jsonl"},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        shown += f"$ trigger-shim {command}\n{ran.stdout}"
    assert shown == SHOWN


def test_the_query_is_real(connect: Connect, address: str) -> None:
    fill(address, call(NOW), call(NOW), call(NOW, "weekly"))
    with connect().transaction(writes=False) as transaction:
        rows = [(caller, int(calls), int(last)) for caller, calls, last in transaction.fetch(QUERY)]

    assert rows == [("nightly", 2, int(NOW.timestamp())), ("weekly", 1, int(NOW.timestamp()))]


def test_each_table_is_listed() -> None:
    statements = " ".join(statement for upgrade in schema.UPGRADES for statement in upgrade.statements)
    rows = PAGE.partition("| table | holds |")[2].partition("\n\n")[0].splitlines()
    listed = [name for row in rows if row for name in re.findall(r"`(\w+)`", row.split("|")[1])]

    assert sorted(listed) == sorted(re.findall(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)", statements))
