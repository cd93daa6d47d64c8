"""The views of deploy/logs/clickhouse.sql on ClickHouse's own engine, beside `trigger-shim callers` on the same log."""

import json
import zlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.callers.record import SCHEMA, CallRecord, Heartbeat, Record
from proxy.callers.render.formats import to_json
from proxy.callers.report.analysis import analyze
from proxy.callers.report.coverage import Span, measure_coverage
from tests.callers.lines import call, log
from tests.deploy.clickhouse import ClickHouse
from tests.deploy.vector import Vector
from tests.system.golden import CASES, GOLDEN, logs, moment
from tests.system.month import END

COLUMNS = "caller source owner user calls by_day first_seen last_seen interval error_share state retired_at".split()
TIMES = "first_seen last_seen retired_at".split()
Row = dict[str, Any]


def reported(files: Iterable[str], until: datetime, since: datetime | None = None) -> list[Row]:
    """The rows that `trigger-shim callers --format json` prints."""
    # The log may go on after the time that is asked about.
    made = analyze(files, [], until + timedelta(days=3650), since=since, until=until)
    report = json.loads(to_json(made.report, made.report.rows, made.read))
    return [_comparable({name: row[name] for name in COLUMNS}) for row in report["callers"]]


def queried(store: ClickHouse, until: datetime, since: datetime | None = None) -> list[Row]:
    begin = f"'{since:%Y-%m-%d %H:%M:%S.%f}'" if since is not None else "NULL"
    view = f"trigger_shim.callers(since = {begin}, until = '{until:%Y-%m-%d %H:%M:%S.%f}')"
    return [_comparable(row) for row in store.rows(f"SELECT {', '.join(COLUMNS)} FROM {view}")]


def _comparable(row: Row) -> Row:
    times = {name: datetime.fromisoformat(row[name]) if row[name] is not None else None for name in TIMES}
    return row | times | {"owner": row["owner"] or None}  # an empty one is nobody


def content_of(file: str) -> bytes:
    """What a log says, as far as its compression goes."""
    content = Path(file).read_bytes()
    return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(content) if content[:2] == b"\x1f\x8b" else content


def test_the_month_has_the_same_rows(month: Path, store: ClickHouse, vector: Vector) -> None:
    content = (month / "callers.jsonl").read_bytes()
    store.insert(vector.rows(content))
    rows = reported([str(month / "callers.jsonl")], END)
    assert len(rows) == 7
    assert queried(store, END) == rows


@pytest.mark.parametrize("case", CASES)
def test_a_golden_log_has_the_same_rows(case: str, store: ClickHouse, vector: Vector) -> None:
    now = moment(yaml.safe_load((GOLDEN / case / "expected.yaml").read_text())["now"])
    for file in logs(case):
        store.insert(vector.rows(content_of(file)))
    assert queried(store, now) == reported(logs(case), now)


BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@st.composite
def lives(draw: st.DrawFn) -> list[Heartbeat]:
    """Heartbeats of some processes that come late, stop, are killed, and start anew under the same name."""
    beats = []
    for instance in draw(st.sets(st.sampled_from(["x:1", "y:2", "z:3"]), min_size=1)):
        at = BEGIN + HOUR * draw(st.integers(0, 100))
        for _ in range(draw(st.integers(1, 12))):
            kind = draw(st.sampled_from(["start", "interval", "interval", "stop"]))
            interval = draw(st.sampled_from([3600.0, 86400.0]))
            beats.append(Heartbeat(SCHEMA, at, kind, interval, instance))  # type: ignore[arg-type]
            late = draw(st.sampled_from([0, 59, 60, 61]))
            at += timedelta(seconds=interval * draw(st.sampled_from([0.5, 1, 1.5, 3])) + late)
    return sorted(beats, key=lambda beat: beat.ts)


@st.composite
def calls(draw: st.DrawFn) -> list[CallRecord]:
    """Calls of some callers, each with a rhythm of its own."""
    made, tick = [], iter(range(1_000_000))
    for name in draw(st.sets(st.sampled_from(["a", "b c", "\u00fc\n", "", 'it\'s \\ "x"']), min_size=1)):
        step, owner = draw(st.sampled_from([1, 1, 2, 24, 24, 168, 500])), draw(st.sampled_from([None, "team"]))
        for index in draw(st.lists(st.integers(0, 40), min_size=1, max_size=10)):
            at = BEGIN + HOUR * step * index + timedelta(microseconds=next(tick))
            user, status = draw(st.sampled_from([None, "alice", "bob", ""])), draw(st.sampled_from([200, 399, 400]))
            source, token = draw(st.sampled_from([("known", None), ("header", None), ("header", "a"), ("token", "b")]))
            fields: Any = {"caller_source": source, "token": token, "status": status}
            made.append(call(at, name, owner=owner, run_user=user, **fields))
    return sorted(made, key=lambda record: record.ts)


ENDS = st.integers(1, 24 * 120).map(lambda hours: BEGIN + HOUR * hours)
THOROUGHLY = settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def ship(store: ClickHouse, vector: Vector, *records: Record) -> None:
    store.query("TRUNCATE TABLE trigger_shim.log")
    store.insert(vector.rows(log(*records)))


@THOROUGHLY
@given(lives(), ENDS)
def test_any_heartbeats_cover_the_same(
    store: ClickHouse, vector: Vector, beats: list[Heartbeat], until: datetime
) -> None:
    ship(store, vector, *beats)
    rows = store.rows(f"SELECT since, until FROM trigger_shim.coverage(until = '{until:%Y-%m-%d %H:%M:%S}')")
    found = [(datetime.fromisoformat(row["since"]), datetime.fromisoformat(row["until"])) for row in rows]
    assert found == _joined(measure_coverage(beats, Span(BEGIN, until)).covered)


def _joined(spans: Iterable[Span]) -> list[tuple[datetime, datetime]]:
    joined: list[tuple[datetime, datetime]] = []
    for begin, end in spans:
        joined.append((joined.pop()[0], end) if joined and joined[-1][1] == begin else (begin, end))
    return joined


@THOROUGHLY
@given(calls(), lives(), ENDS, st.none() | st.integers(0, 60))
def test_any_log_has_the_same_rows(
    store: ClickHouse,
    vector: Vector,
    tmp_path: Path,
    called: list[CallRecord],
    beats: list[Heartbeat],
    until: datetime,
    days: int | None,
) -> None:
    since = BEGIN + timedelta(days=days) if days is not None else None
    file = tmp_path / "callers.jsonl"
    file.write_bytes(log(*called, *beats))
    ship(store, vector, *called, *beats)
    assert queried(store, until, since) == reported([str(file)], until, since)


def test_what_is_delivered_twice_counts_once(month: Path, store: ClickHouse, vector: Vector) -> None:
    rows = vector.rows((month / "callers.jsonl").read_bytes())
    store.insert(rows)
    once = queried(store, END)
    store.insert(rows)
    assert store.rows("SELECT count() AS lines FROM trigger_shim.log") == [{"lines": 2 * rows.count(b"\n")}]
    assert queried(store, END) == once
