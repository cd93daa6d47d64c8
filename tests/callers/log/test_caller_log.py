import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.callers.log.caller_log import CallerLog
from proxy.callers.log.files import STDOUT
from proxy.callers.log.fingerprint_key import fingerprint_key
from proxy.callers.record import SCHEMA, CallRecord, Heartbeat, Record
from tests.callers.lines import request_ids, written
from tests.callers.processes import WRITERS, run_together
from tests.paths import ROOT

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def call(request_id: str = "r-1", **fields: Any) -> CallRecord:
    known: dict[str, Any] = {
        "schema": SCHEMA,
        "ts": NOW,
        "request_id": request_id,
        "endpoint": "trigger",
        "method": "POST",
        "path": "/acme/shop/ci_workflows/build/trigger",
        "caller": "token:0123456789ab",
        "caller_source": "token",
        "phase": "deprecated",
        "outcome": "forwarded",
        "status": 200,
    }
    return CallRecord(**known | fields)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "callers.jsonl"


@pytest.fixture
def counted() -> list[bool]:
    """Of each record, whether it was written."""
    return []


@pytest.fixture
def log(path: Path, counted: list[bool]) -> Iterator[CallerLog]:
    opened = CallerLog(str(path), counted.append)
    yield opened
    opened.close()


# --- one line a record


def test_each_record_is_one_line_in_the_order_of_writing(log: CallerLog, path: Path, counted: list[bool]) -> None:
    for number in range(3):
        log.append(call(f"r-{number}"))
        assert len(counted) == number + 1

    assert request_ids(path) == ["r-0", "r-1", "r-2"]
    assert all(counted)


def test_a_record_is_in_the_file_before_append_returns(log: CallerLog, path: Path) -> None:
    log.append(call("first"))

    assert request_ids(path) == ["first"]


def test_a_line_says_event_schema_and_time_in_utc(log: CallerLog, path: Path) -> None:
    log.append(call())
    log.append(Heartbeat(SCHEMA, NOW, "start", 3600, "host:1"))

    record, heartbeat = written(path)
    assert record["event"] == "deprecated_call"
    assert heartbeat["event"] == "heartbeat"
    for event in (record, heartbeat):
        assert event["schema"] == 1
        assert event["ts"] == "2026-01-02T03:04:05.678901Z"


def test_records_are_appended_to_what_stands_in_the_file(path: Path) -> None:
    path.write_bytes(b'{"request_id":"before"}\n')

    log = CallerLog(str(path))
    log.append(call("after"))
    log.close()

    assert request_ids(path) == ["before", "after"]


def test_a_line_that_another_process_left_unfinished_does_not_swallow_the_next(path: Path) -> None:
    path.write_bytes(b'{"request_id":"bef')

    log = CallerLog(str(path))
    log.append(call("after"))
    log.close()

    assert path.read_bytes().startswith(b'{"request_id":"bef\n')
    assert json.loads(path.read_bytes().splitlines()[1])["request_id"] == "after"


def test_the_folder_of_the_log_is_made(tmp_path: Path) -> None:
    path = tmp_path / "var" / "log" / "callers.jsonl"

    log = CallerLog(str(path))
    log.append(call())
    log.close()

    assert len(written(path)) == 1


def test_a_log_that_cannot_be_opened_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=re.escape(str(tmp_path))):
        CallerLog(str(tmp_path))


def test_a_dash_is_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    log = CallerLog(STDOUT)
    log.append(call("r-1"))
    log.close()
    os.write(1, b"still open\n")

    line, rest = capfdbinary.readouterr().out.split(b"\n", 1)
    assert json.loads(line)["request_id"] == "r-1"
    assert rest == b"still open\n"


@pytest.mark.parametrize(
    "agent",
    [
        'x\n{"event":"deprecated_call","caller":"somebody else"}',
        "x\r\nx",
        'x","caller":"somebody else',
        "x\\",
        "x\x00x",
        "x\u2028x\u2029x\x85x",
        "\x1b[2J\x1b]0;title\x07",
        "\x7f\x08\x0b\x0c",
        "\ufffd\U0001f680\u202e",
        "%s%n{0}{user_agent}",
    ],
)
def test_a_hostile_user_agent_is_one_json_string_on_one_line(agent: str, log: CallerLog, path: Path) -> None:
    log.append(call("r-1", user_agent=agent, caller=f"203.0.113.9 {agent}"))
    log.append(call("r-2"))

    first, second = written(path)
    assert first["user_agent"] == agent
    assert first["caller"] == f"203.0.113.9 {agent}"
    assert (first["request_id"], second["request_id"]) == ("r-1", "r-2")
    assert not re.search(rb"[\x00-\x09\x0b-\x1f]", path.read_bytes())


# --- records that cannot be written


def kept(printed: str) -> dict[str, Any]:
    """The record in a message on standard error."""
    event: dict[str, Any] = json.loads(printed[printed.index("{") :])
    return event


def test_a_record_that_cannot_be_written_goes_to_standard_error_and_is_counted(
    capsys: pytest.CaptureFixture[str], counted: list[bool]
) -> None:
    log = CallerLog("/dev/full", counted.append)
    log.append(call("lost-1", user_agent="x\ny"))
    log.append(call("lost-2"))
    log.close()

    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("trigger-shim: error: caller log: No space left on device; the record: {")
    assert kept(first)["request_id"] == "lost-1"
    assert kept(first)["user_agent"] == "x\ny"
    assert kept(second)["request_id"] == "lost-2"
    assert counted == [False, False]


def test_a_closed_log_never_writes_to_a_file_that_was_given_its_descriptor(
    log: CallerLog, path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], counted: list[bool]
) -> None:
    log.append(call("kept"))
    log.close()
    path.unlink()
    other = tmp_path / "other"
    with other.open("wb"):
        log.append(call("lost"))

    assert other.read_bytes() == b""
    assert not path.exists()
    assert kept(capsys.readouterr().err)["request_id"] == "lost"
    assert counted == [True, False]


def test_a_record_whose_file_cannot_be_reopened_is_counted_and_the_next_one_is_written(
    log: CallerLog, path: Path, capsys: pytest.CaptureFixture[str], counted: list[bool]
) -> None:
    path.unlink()
    path.mkdir()
    log.append(call("lost"))
    path.rmdir()
    log.append(call("kept"))

    assert kept(capsys.readouterr().err)["request_id"] == "lost"
    assert counted == [False, True]
    assert request_ids(path) == ["kept"]


@pytest.mark.parametrize("stream", [None, "closed"])
def test_without_a_standard_error_either_a_lost_record_still_raises_nothing(
    stream: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counted: list[bool]
) -> None:
    closed = (tmp_path / "stderr").open("w")
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed if stream else None)
    log = CallerLog("/dev/full", counted.append)
    log.append(call())
    log.close()

    assert counted == [False]


def test_whoever_asks_hears_when_a_record_is_in_the_file(log: CallerLog, path: Path) -> None:
    found: list[list[str]] = []
    for number in range(2):
        log.append(call(f"r-{number}"), lambda: found.append(request_ids(path)))

    assert found == [["r-0"], ["r-0", "r-1"]]


def test_whoever_asks_hears_when_a_record_has_gone_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    found: list[str] = []
    log = CallerLog("/dev/full")
    log.append(call("lost"), lambda: found.append(capsys.readouterr().err))
    log.close()

    [printed] = found
    assert kept(printed)["request_id"] == "lost"


def test_a_fault_of_who_hears_of_a_record_costs_no_other_record(
    log: CallerLog, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> None:
        raise KeyError

    log.append(call("r-1"), fails)
    log.append(call("r-2"))

    assert request_ids(path) == ["r-1", "r-2"]
    assert capsys.readouterr().err == "trigger-shim: error: a fault of the proxy itself, after a record: KeyError\n"


FULL_DISK = """
import resource, sys
from proxy.callers.log.caller_log import CallerLog
from tests.callers.log.test_caller_log import call

path, room, lines = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
counted = []
log = CallerLog(path, counted.append)
log.append(call("whole"))
resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
for number in range(lines):
    log.append(call(f"lost-{number}"))
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
log.append(call("next"))
log.append(call("last"))
log.close()
print(counted.count(False), end="")
"""


def on_a_full_disk(path: Path, room: int, lost: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path), str(room), str(lost)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=ROOT,
    )


LINE = len(msgspec.json.encode(call("whole"))) + 1


@pytest.mark.parametrize(
    ("room", "lost"),
    [(LINE, 2), (LINE + 1, 1), (LINE + 100, 1), (LINE + 100, 3)],
    ids=["nothing fits", "one byte fits", "part of a line fits", "part of a line fits, then nothing"],
)
def test_a_full_disk_costs_no_record_that_is_written_later(path: Path, room: int, lost: int) -> None:
    ended = on_a_full_disk(path, room, lost)

    messages = ended.stderr.splitlines()
    assert [kept(message)["request_id"] for message in messages] == [f"lost-{number}" for number in range(lost)]
    assert ended.stdout == str(lost)

    whole, *fragment, following, last = path.read_bytes().splitlines()
    assert [json.loads(line)["request_id"] for line in (whole, following, last)] == ["whole", "next", "last"]
    assert len(b"\n".join(fragment)) == room - LINE


# --- the key of the fingerprints


def kept_key(log: Path) -> Path:
    (key,) = {file for file in log.parent.iterdir() if file != log}
    return key


def test_a_key_is_made_once_beside_the_log_and_kept(path: Path) -> None:
    first = fingerprint_key(None, str(path))

    assert len(first) >= 32
    assert fingerprint_key(None, str(path)) == first
    assert first in kept_key(path).read_bytes()


def test_the_kept_key_is_for_its_owner_alone(path: Path) -> None:
    umask = os.umask(0)
    try:
        fingerprint_key(None, str(path))
    finally:
        os.umask(umask)

    assert stat.S_IMODE(kept_key(path).stat().st_mode) == 0o600


def test_the_folder_of_the_key_is_made(tmp_path: Path) -> None:
    assert fingerprint_key(None, str(tmp_path / "var" / "log" / "callers.jsonl"))


def test_two_logs_in_two_folders_have_two_keys(tmp_path: Path) -> None:
    assert fingerprint_key(None, str(tmp_path / "a" / "log")) != fingerprint_key(None, str(tmp_path / "b" / "log"))


def test_a_configured_key_wins_and_nothing_is_kept(path: Path) -> None:
    made = fingerprint_key(None, str(path))
    kept_key(path).unlink()

    assert fingerprint_key("configured", str(path)) == b"configured" != made
    assert fingerprint_key("configured", STDOUT) == b"configured"
    assert list(path.parent.iterdir()) == []


def test_a_key_for_standard_output_cannot_be_kept_and_there_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    assert fingerprint_key(None, STDOUT) != fingerprint_key(None, STDOUT)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 2
    assert "callers.fingerprint_key" in printed.err
    assert list(tmp_path.iterdir()) == []


def test_a_configured_key_needs_no_warning(capsys: pytest.CaptureFixture[str]) -> None:
    fingerprint_key("configured", STDOUT)

    assert capsys.readouterr().err == ""


ROUNDS = 50


def read_keys(folder: str, reader: int, together: Barrier) -> None:
    keys = []
    for number in range(ROUNDS):
        together.wait(60)
        keys.append(fingerprint_key(None, f"{folder}/{number}/callers.jsonl").decode())
    Path(folder, f"keys-{reader}").write_text("\n".join(keys))


def test_processes_that_start_together_read_the_same_key(tmp_path: Path) -> None:
    run_together(read_keys, str(tmp_path))

    read = {(tmp_path / f"keys-{n}").read_text() for n in range(WRITERS)}
    assert len(read) == 1
    assert len(set(read.pop().splitlines())) == ROUNDS
    assert all(len(list((tmp_path / str(number)).iterdir())) == 1 for number in range(ROUNDS))


# --- what is written is what is read

FULL = call(
    trace_id="0af7651916cd43dd8448eb211c80319c",
    successor="/repos/acme/shop/cicd/runs",
    org="acme",
    repo="shop",
    repo_id="5",
    workflow="release/prod",
    owner="team-a",
    token="0123456789ab",
    client_ip="2001:db8::1",
    user_agent="curl/8",
    run_user="alice",
    upstream_status=200,
    error_code="NotFound",
    run="7",
    trigger_status="created",
    inputs=["a", "b"],
    ignored_fields=["inputs"],
    duration_ms=12.345,
    upstream_ms=11.0,
    client_gone=True,
)


@pytest.mark.parametrize("record", [call(), FULL, Heartbeat(SCHEMA, NOW, "stop", 0.5, "host:1")])
def test_what_is_written_is_read_back_as_it_was(record: Record, log: CallerLog, path: Path) -> None:
    log.append(record)

    assert msgspec.json.decode(path.read_bytes(), type=Record) == record


@pytest.mark.parametrize("record", [call(), Heartbeat(SCHEMA, NOW, "start", 3600, "host:1")])
def test_a_reader_tolerates_fields_that_it_does_not_know(record: Record) -> None:
    later = msgspec.json.decode(msgspec.json.encode(record)) | {"of_a_later_version": {"any": ["thing"]}}

    assert msgspec.json.decode(msgspec.json.encode(later), type=Record) == record


def test_the_record_has_every_field_of_the_design_and_no_other() -> None:
    design = """
        schema event ts request_id trace_id
        endpoint method path successor org repo repo_id workflow
        caller caller_source owner token client_ip user_agent run_user
        phase outcome status upstream_status error_code run trigger_status
        inputs ignored_fields duration_ms upstream_ms client_gone
    """

    assert set(msgspec.json.decode(msgspec.json.encode(FULL))) == set(design.split())
