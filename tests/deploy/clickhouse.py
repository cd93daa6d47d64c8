"""ClickHouse's own engine, in a process of its own: it brings threads and signal handlers along.

``python -m tests.deploy.clickhouse FOLDER`` answers queries on standard input, a JSON string a line, with a line of
JSON, the length of what follows or what is wrong, and the bytes.
"""

import contextlib
import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.deploy.tools import DEPLOY
from tests.support.processes import running
from tests.support.programs import lack

SCHEMA = DEPLOY / "logs" / "clickhouse.sql"


class Refused(Exception):
    """The engine's own message."""


class ClickHouse:
    """A server that lives in a folder."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._questions, self._answers, self._pid = process.stdin, process.stdout, process.pid

    def query(self, sql: str) -> bytes:
        """What the client would print.

        Raises:
            Refused: the query is wrong.
        """
        self._questions.write(json.dumps(sql).encode() + b"\n")
        self._questions.flush()
        answer = json.loads(self._answers.readline())
        if isinstance(answer, str):
            raise Refused(answer)
        return self._answers.read(answer)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        settings = "output_format_json_quote_64bit_integers = 0, date_time_output_format = 'iso'"
        return [json.loads(row) for row in self.query(f"{sql} FORMAT JSONEachRow SETTINGS {settings}").splitlines()]

    def cpu_seconds(self) -> float:
        """What it has taken of a core so far."""
        after_name = Path(f"/proc/{self._pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")

    def insert(self, rows: bytes) -> None:
        """What Vector sends: an object a line."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(rows)
            file.flush()
            self.query(
                f"INSERT INTO trigger_shim.log (line) SELECT line FROM file('{file.name}', JSONEachRow, 'line String')"
            )


@contextlib.contextmanager
def clickhouse(folder: Path) -> Iterator[ClickHouse]:
    """The engine with the schema of deploy/; a test that needs it is skipped where it is not installed."""
    if importlib.util.find_spec("chdb") is None:
        lack("chdb is not installed", "make engines")
    command = [sys.executable, "-m", "tests.deploy.clickhouse", str(folder)]
    with running(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)) as process:
        server = ClickHouse(process)
        for statement in statements(SCHEMA.read_text(encoding="utf-8")):
            server.query(statement)
        server.query("SYSTEM STOP TTL MERGES trigger_shim.log")  # or what tests have written would be gone some day
        yield server


def statements(script: str) -> list[str]:
    """The statements of a script, as the client sends them, one after the other."""
    bare = re.sub(r"^\s*--.*\n", "", script, flags=re.MULTILINE)
    return [statement for statement in bare.split(";\n") if statement.strip()]


def _serve(folder: str) -> None:
    session = importlib.import_module("chdb.session").Session(folder)
    for question in sys.stdin.buffer:
        try:
            content = session.query(json.loads(question), "TSVRaw").bytes()
        except RuntimeError as error:
            content, answer = b"", json.dumps(str(error))
        else:
            answer = json.dumps(len(content))
        sys.stdout.buffer.write(answer.encode() + b"\n" + content)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    _serve(sys.argv[1])
