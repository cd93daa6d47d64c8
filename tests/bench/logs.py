"""What caller records cost at rest, and how long both reports on them take; see deploy/logs/README.md."""

import argparse
import gzip
import shutil
import tempfile
from pathlib import Path

from tests.bench.reports import END, contenders, used, write
from tests.deploy.clickhouse import ClickHouse, clickhouse

REPORT = f"SELECT * FROM trigger_shim.callers(since = NULL, until = '{END:%Y-%m-%d %H:%M:%S}') FORMAT Null"
EXPORT = "SELECT line FROM trigger_shim.log FINAL ORDER BY event, caller, ts FORMAT Null"


def main() -> None:
    """Write a log, put it into ClickHouse, and print what each takes, a record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-logs-") as folder:
        for kind, short in (("whole records", False), ("of the shortest records that there are", True)):
            log = Path(folder, "callers.jsonl")
            write(log, options.records, short=short)
            print(f"{options.records} {kind}")
            _show("the log", log.stat().st_size / options.records)
            _show("the log, as logrotate compresses it", _compressed(log) / options.records)
            with clickhouse(Path(folder, f"clickhouse-{short}")) as server:
                _measure(server, log, options.records)


def _measure(server: ClickHouse, log: Path, records: int) -> None:
    load = f"INSERT INTO trigger_shim.log (line) SELECT line FROM file('{log}', LineAsString, 'line String')"
    _show_time("inserting", _cpu_seconds(server, load) / records)
    server.query("OPTIMIZE TABLE trigger_shim.log FINAL")
    active = "database = 'trigger_shim' AND active"
    whole = server.rows(f"SELECT sum(bytes_on_disk) AS bytes FROM system.parts WHERE {active}")
    _show("in ClickHouse", whole[0]["bytes"] / records)
    sizes = server.rows(
        f"SELECT column AS name, sum(column_data_compressed_bytes) AS bytes FROM system.parts_columns WHERE {active}"
        " GROUP BY name ORDER BY bytes DESC LIMIT 4"
    )
    for size in sizes:
        _show(f"  of it {size['name']}", size["bytes"] / records)
    name, command = next(contenders(log))
    _show_time(name, used(command, cpu=0).cpu_seconds / records)
    for name, sql in (("the view trigger_shim.callers", REPORT), ("the export, without what reads it", EXPORT)):
        _show_time(name, min(_cpu_seconds(server, sql) for _ in range(3)) / records)


def _compressed(log: Path) -> int:
    target = log.with_suffix(".gz")
    with log.open("rb") as source, gzip.open(target, "wb", compresslevel=6) as out:
        shutil.copyfileobj(source, out)
    return target.stat().st_size


def _cpu_seconds(server: ClickHouse, sql: str) -> float:
    before = server.cpu_seconds()
    server.query(sql)
    return server.cpu_seconds() - before


def _show(what: str, size: float) -> None:
    print(f"  {what:38}{size:8.1f} bytes a record")


def _show_time(what: str, seconds: float) -> None:
    print(f"  {what:38}{seconds * 1e6:8.2f} s of a core a million")


if __name__ == "__main__":
    main()
