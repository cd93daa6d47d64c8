import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.callers.log.caller_log import CallerLog
from proxy.callers.log.files import STDOUT
from proxy.callers.log.reader import Reader
from proxy.callers.record import SCHEMA, CallRecord, Heartbeat, ReportedCall
from proxy.output import diagnostics
from tests.callers import lines
from tests.callers.lines import request_ids, written
from tests.support.paths import ROOT
from tests.support.processes import events

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def call(request_id: str = "r-1", **fields: Any) -> CallRecord:
    return lines.call(NOW, request_id=request_id, **fields)


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


def test_each_record_is_one_line_in_order(log: CallerLog, path: Path, counted: list[bool]) -> None:
    for number in range(3):
        log.append(call(f"r-{number}"))
        assert len(counted) == number + 1

    assert request_ids(path) == ["r-0", "r-1", "r-2"]
    assert all(counted)


def test_a_record_is_in_the_file_before_append_returns(log: CallerLog, path: Path) -> None:
    log.append(call("first"))

    assert request_ids(path) == ["first"]


def test_a_line_has_event_schema_and_time_in_utc(log: CallerLog, path: Path) -> None:
    log.append(call())
    log.append(Heartbeat(SCHEMA, NOW, "start", 3600, "host:1"))

    record, heartbeat = written(path)
    assert record["event"] == "deprecated_call"
    assert heartbeat["event"] == "heartbeat"
    for event in (record, heartbeat):
        assert event["schema"] == 1
        assert event["ts"] == "2026-01-02T03:04:05.678901Z"


def test_records_are_appended_to_an_existing_file(path: Path) -> None:
    path.write_bytes(b'{"request_id":"before"}\n')

    log = CallerLog(str(path))
    log.append(call("after"))
    log.close()

    assert request_ids(path) == ["before", "after"]


def test_an_incomplete_line_does_not_swallow_the_next_record(path: Path) -> None:
    path.write_bytes(b'{"request_id":"bef')

    log = CallerLog(str(path))
    log.append(call("after"))
    log.close()

    assert path.read_bytes().startswith(b'{"request_id":"bef\n')
    assert json.loads(path.read_bytes().splitlines()[1])["request_id"] == "after"


def test_the_folder_of_the_log_is_created(tmp_path: Path) -> None:
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


def kept(printed: str) -> dict[str, Any]:
    """The record in a message on standard error."""
    event: dict[str, Any] = json.loads(printed[printed.index("{") :].partition("\n")[0])
    return event


def test_a_record_that_cannot_be_written_goes_to_standard_error_and_is_counted(
    capsys: pytest.CaptureFixture[str], counted: list[bool]
) -> None:
    log = CallerLog("/dev/full", counted.append)
    log.append(call("lost-1", user_agent="x\ny"))
    log.append(call("lost-2"))
    log.close()

    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith('trigger-shim: error: record not written reason="No space left on device" record={')
    assert kept(first)["request_id"] == "lost-1"
    assert kept(first)["user_agent"] == "x\ny"
    assert kept(second)["request_id"] == "lost-2"
    assert counted == [False, False]


def test_in_a_json_event_a_record_is_an_object_that_reports_find(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    diagnostics.configure("json")
    log = CallerLog("/dev/full")
    log.append(call("lost", user_agent='x\x9b"}\n{"event":"deprecated_call"}'))
    log.close()
    diagnostics.configure()

    printed = tmp_path / "stderr"
    printed.write_text(capsys.readouterr().err)
    [event] = events(printed.read_text())
    assert (event["event"], event["reason"]) == ("record_not_written", "No space left on device")
    assert event["record"]["request_id"] == "lost"
    [([record], _)] = Reader([str(printed)])
    assert isinstance(record, ReportedCall)
    assert record.user_agent == event["record"]["user_agent"] == 'x\x9b"}\n{"event":"deprecated_call"}'


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


def test_once_it_can_be_written_again_a_line_says_how_many_records_it_lacks(
    log: CallerLog, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.unlink()
    path.mkdir()
    for _ in range(2):
        log.append(call("lost"))
    path.rmdir()
    for _ in range(2):
        log.append(call("kept"))

    lines = [line for line in capsys.readouterr().err.splitlines() if "record not written" not in line]
    assert lines == ["trigger-shim: caller log written again unwritten_records=2"]


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
def test_without_standard_error_a_lost_record_raises_nothing(
    stream: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counted: list[bool]
) -> None:
    closed = (tmp_path / "stderr").open("w")
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed if stream else None)
    log = CallerLog("/dev/full", counted.append)
    log.append(call())
    log.close()

    assert counted == [False]


def test_done_is_called_after_the_record_is_in_the_file(log: CallerLog, path: Path) -> None:
    found: list[list[str]] = []
    for number in range(2):
        log.append(call(f"r-{number}"), lambda _: found.append(request_ids(path)))

    assert found == [["r-0"], ["r-0", "r-1"]]


def test_done_is_called_after_the_record_went_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    found: list[str] = []
    log = CallerLog("/dev/full")
    log.append(call("lost"), lambda _: found.append(capsys.readouterr().err))
    log.close()

    [printed] = found
    assert kept(printed)["request_id"] == "lost"


def test_an_exception_in_done_does_not_affect_the_next_record(
    log: CallerLog, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_written: bool) -> None:
        raise KeyError

    log.append(call("r-1"), fails)
    log.append(call("r-2"))

    assert request_ids(path) == ["r-1", "r-2"]
    assert capsys.readouterr().err == (
        'trigger-shim: error: internal error during="recording a call" exception=KeyError\n'
    )


FULL_DISK = """
import resource, sys
from proxy.callers.log.caller_log import CallerLog
from proxy.output import writer
from tests.callers.log.test_caller_log import call

writer.STALL = 60  # a busy machine is no slow disk
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
def test_records_are_written_again_after_the_disk_was_full(path: Path, room: int, lost: int) -> None:
    ended = on_a_full_disk(path, room, lost)

    *messages, again = ended.stderr.splitlines()
    assert again == f"trigger-shim: caller log written again unwritten_records={lost}"
    assert [kept(message)["request_id"] for message in messages] == [f"lost-{number}" for number in range(lost)]
    assert ended.stdout == str(lost)

    whole, *fragment, following, last = path.read_bytes().splitlines()
    assert [json.loads(line)["request_id"] for line in (whole, following, last)] == ["whole", "next", "last"]
    assert len(b"\n".join(fragment)) == room - LINE
