"""What deploy/logs/vector.yaml does with a line, by Vector's own engine for its transforms."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.callers.log.reader import Reader
from proxy.callers.record import SCHEMA, Heartbeat
from tests.callers.lines import call, line
from tests.deploy.tools import DEPLOY
from tests.deploy.vector import CONFIG, FILE, Vector

AT = datetime(2026, 11, 23, 10, 0, 0, 123456, UTC)
RECORD = line(call(AT)).rstrip(b"\n")
HEARTBEAT = line(Heartbeat(SCHEMA, AT, "stop", 3600, "host:1")).rstrip(b"\n")


def having(**fields: Any) -> bytes:
    return json.dumps(json.loads(RECORD) | fields).encode()


def with_raw(value: bytes) -> bytes:
    """A record that has a field of a later version."""
    return RECORD[:-1] + b',"later":' + value + b"}"


RECORDS = {
    "a call": RECORD,
    "a heartbeat": HEARTBEAT,
    "a field of a later version": with_raw(b'{"a":[1,null,2.50,"x"]}'),
    "an event in it": with_raw(b'{"event":"heartbeat"}'),
    "escapes": with_raw(rb'"\\ \" \n \t \u0000 \u2028 \ud83d\ude00 \/"'),
    "what no ASCII is": with_raw('"ü 😀 \u2028"'.encode()),
    "quotes of SQL": having(caller="'; DROP TABLE trigger_shim.log; --"),
    "a name with newlines": having(caller="a\nb\r\n\tc\\N"),
    "blanks between": json.dumps(json.loads(RECORD), indent=1).replace("\n", "\t").encode(),
    "200 KB": having(user_agent="x" * 200_000),
    "nested": with_raw(b"[" * 100 + b"]" * 100),
    "no caller": having(caller=""),
    "another time zone": having(ts="2026-11-23T12:00:00.123456+02:00"),
}

BEHIND = {
    "standard error": b'trigger-shim: error: record not written reason="No space left on device" record=',
    "a container runtime": b"2026-11-23T10:00:01.0Z stdout F ",
    "a torn line": RECORD[:70],
    "a torn line that is no text": b'{"event":"deprecated_call","caller":"\xff\x00',
}

EVENT = (
    b'{"ts":"2026-11-23T10:00:00.123456Z","level":"error","event":"record_not_written","reason":"x","record":%b}'
    % RECORD
)

NO_RECORDS = {
    "nothing": b"",
    "a message": b"trigger-shim: configuration reloaded known_callers=3",
    "an event": b'{"ts":"2026-11-23T10:00:00.123456Z","level":"info","event":"connections_resumed"}',
    "torn": RECORD[:-10],
    "an array": b"[" + RECORD + b"]",
    "null": b"null",
    "NUL": b"\x00" * 20,
    "no text": b"\xff\xfe",
    "nested without end": b"[" * 100_000,
    "a raw newline's place": with_raw(b'"\x01"'),
    "another event": having(event="started"),
    "no event": having(event=None),
    "no time": having(ts="yesterday"),
    "a number for a time": having(ts=5),
    "a number for a name": having(caller=5),
    "a text for a status": having(status="200"),
    "no outcome": having(outcome=None),
}


@pytest.mark.parametrize("sent", RECORDS.values(), ids=RECORDS)
def test_a_record_is_shipped_as_it_was_written(sent: bytes, vector: Vector) -> None:
    shipped = vector.ship(sent)
    assert shipped is not None
    assert shipped.line == sent
    assert json.loads(shipped.row) == {"line": sent.decode()}


@pytest.mark.parametrize("before", BEHIND.values(), ids=BEHIND)
def test_a_record_behind_something_else_is_shipped_without_it(before: bytes, vector: Vector) -> None:
    shipped = vector.ship(before + RECORD)
    assert shipped is not None
    assert shipped.line == RECORD


@pytest.mark.parametrize("before", [b"", b"[pod/shim-1/trigger-shim] "], ids=["event", "event behind a prefix"])
def test_a_record_in_an_event_on_standard_error_is_shipped_without_it(before: bytes, vector: Vector) -> None:
    shipped = vector.ship(before + EVENT)
    assert shipped is not None
    assert shipped.line == RECORD


@pytest.mark.parametrize("sent", NO_RECORDS.values(), ids=NO_RECORDS)
def test_what_is_no_record_is_not_shipped(sent: bytes, vector: Vector) -> None:
    assert vector.ship(sent) is None


def test_the_report_reads_the_same_records_and_those_in_arrays(tmp_path: Path) -> None:
    lines = [
        *RECORDS.values(),
        *(before + RECORD for before in BEHIND.values()),
        EVENT,
        b"[pod] " + EVENT,
        *NO_RECORDS.values(),
    ]
    file = tmp_path / "callers.jsonl"
    file.write_bytes(b"\n".join(lines))
    reader = Reader([str(file)])
    assert sum(len(records) for records, _ in reader) == len(RECORDS) + len(BEHIND) + 3


def test_loki_has_a_record_at_its_own_time_under_labels_that_nobody_makes_up(vector: Vector) -> None:
    called, beat = vector.ship(having(caller="evil", user_agent="evil", workflow="evil")), vector.ship(HEARTBEAT)
    assert called is not None
    assert beat is not None
    assert (called.at, called.labels) == (AT, {"event": "deprecated_call", "outcome": "forwarded"})
    assert (beat.at, beat.labels) == (AT, {"event": "heartbeat"})


# --- what is around the transforms: no Vector runs here


def components() -> dict[str, Any]:
    return {**CONFIG["sources"], **CONFIG["transforms"], **CONFIG["sinks"]}


def test_nothing_is_read_that_does_not_exist_and_nothing_is_left_unread() -> None:
    made = {*CONFIG["sources"], *CONFIG["transforms"]} | {"records.dropped"}
    assert {name for component in components().values() for name in component.get("inputs", [])} == made


OPTIONS: dict[str, set[str]] = {
    "file": {"include", "exclude", "fingerprint", "read_from", "max_line_bytes"},
    "kubernetes_logs": {"extra_label_selector", "glob_minimum_cooldown_ms"},
    "remap": {"inputs", "source", "drop_on_error", "reroute_dropped"},
    "clickhouse": {
        *("inputs", "endpoint", "auth", "database", "table", "batch", "buffer", "acknowledgements"),
    },
    "loki": {"inputs", "endpoint", "labels", "encoding", "buffer", "acknowledgements"},
    "console": {"inputs", "target", "encoding"},
}
"""What Vector's reference (of September 2026) has, as far as it is used here."""


def test_options_are_those_of_vectors_reference() -> None:
    kubernetes = yaml.safe_load((DEPLOY / "logs" / "kubernetes.yaml").read_text(encoding="utf-8"))
    assert kubernetes["sources"].keys() == CONFIG["sources"].keys()
    for component in [*components().values(), *kubernetes["sources"].values()]:
        assert component.keys() - {"type"} <= OPTIONS[component["type"]]


@pytest.mark.parametrize("name", ["clickhouse", "loki"])
def test_a_sink_loses_nothing(name: str) -> None:
    sink = CONFIG["sinks"][name]
    assert sink["acknowledgements"] == {"enabled": True}
    assert sink["buffer"]["type"] == "disk"
    assert sink["buffer"]["when_full"] == "block"
    assert sink["buffer"]["max_size"] >= 268435488  # the least that Vector takes


def test_secrets_come_from_files_and_nothing_from_the_environment() -> None:
    (backend,) = CONFIG["secret"]
    assert CONFIG["sinks"]["clickhouse"]["auth"]["password"] == f"SECRET[{backend}.clickhouse_password]"
    assert "$" not in FILE.read_text(encoding="utf-8")
