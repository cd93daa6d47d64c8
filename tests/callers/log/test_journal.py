import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.callers.log import journal
from proxy.callers.log.journal import SLOT, Journal, journal_prefix, recover_interrupted
from proxy.callers.record import CallRecord

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


def a_record(number: int = 0, **more: object) -> CallRecord:
    required = {
        "schema": 1,
        "ts": BEGINNING + timedelta(seconds=number),
        "request_id": f"id-{number}",
        "endpoint": "trigger",
        "method": "POST",
        "path": "/acme/shop/ci_workflows/build/trigger",
        "caller": "token:0123456789ab",
        "caller_source": "token",
        "phase": "deprecated",
        "outcome": "interrupted",
        "status": 500,
    }
    return CallRecord(**{**required, **more})  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place of each test's own for the journals."""
    memory = tmp_path / "memory"
    memory.mkdir()
    monkeypatch.setattr(journal, "memory_folder", lambda: str(memory))
    return memory


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "callers.jsonl"


def name(log: Path) -> str:
    return journal_prefix(str(log), "127.0.0.1:8080")


def abandoned(log: Path, *records: CallRecord, slots: int = 8) -> Journal:
    """A journal whose process is gone: its descriptor is closed, and so its lock."""
    left = Journal(name(log), slots)
    for record in records:
        assert left.begin(record) is not None
    left.close()
    return left


def found(log: Path) -> list[str]:
    return [record.request_id for record in recover_interrupted(name(log), str(log))]


def write(log: Path, *records: CallRecord) -> None:
    with log.open("ab") as file:
        file.writelines(msgspec.json.encode(record) + b"\n" for record in records)


def test_calls_in_progress_are_recovered_once_and_the_journal_is_removed(log: Path, folder: Path) -> None:
    left = Journal(name(log), 8)
    slots = [left.begin(a_record(number)) for number in range(3)]
    left.end(slots[1])
    left.close()
    assert recover_interrupted(name(log), str(log)) == [a_record(0), a_record(2)]
    assert list(folder.iterdir()) == []
    assert found(log) == []


def test_a_reused_slot_holds_nothing_of_the_record_before(log: Path) -> None:
    left = Journal(name(log), 1)
    left.end(left.begin(a_record(1, user_agent="long " * 50)))
    assert left.begin(a_record(2)) is not None
    left.close()
    assert recover_interrupted(name(log), str(log)) == [a_record(2)]


def test_without_a_free_slot_a_call_is_not_stored(log: Path) -> None:
    left = Journal(name(log), 1)
    assert left.begin(a_record(1)) is not None
    none = left.begin(a_record(2))
    assert none is None
    left.end(none)
    assert left.begin(a_record(3)) is None
    left.close()


def test_calls_of_a_running_process_are_not_recovered(log: Path) -> None:
    living = Journal(name(log), 8)
    slot = living.begin(a_record(1))
    assert found(log) == []
    living.end(slot)
    living.close()


def test_the_journal_of_another_log_is_not_touched(log: Path, folder: Path) -> None:
    abandoned(log.with_name("other.jsonl"), a_record(1))
    assert found(log) == []
    assert len(list(folder.iterdir())) == 1


def test_closing_without_calls_removes_the_journal(log: Path, folder: Path) -> None:
    abandoned(log)
    assert list(folder.iterdir()) == []


def test_a_deleted_journal_is_tolerated(log: Path, folder: Path) -> None:
    living = Journal(name(log), 1)
    [file] = folder.iterdir()
    file.unlink()
    living.end(living.begin(a_record(1)))
    living.close()


def test_the_journal_is_private(log: Path, folder: Path) -> None:
    living = Journal(name(log), 1)
    [file] = folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    living.close()


@pytest.mark.parametrize("rotated", [False, True])
def test_a_call_that_is_already_in_the_log_is_not_recovered(log: Path, rotated: bool) -> None:
    abandoned(log, *(a_record(number) for number in range(3)))
    write(log, a_record(1, outcome="forwarded", status=200, run="7"))
    if rotated:
        log.rename(log.with_suffix(".jsonl.1"))
        write(log, a_record(9))
    assert found(log) == ["id-0", "id-2"]


def test_the_same_request_id_at_another_time_is_another_call(log: Path) -> None:
    abandoned(log, a_record(5, request_id="same"))
    write(log, a_record(4, request_id="same"))
    assert found(log) == ["same"]


def test_a_long_log_is_read_backwards_only_as_far_as_needed(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_BLOCK", 1000)
    write(log, *(a_record(number) for number in range(100)))
    abandoned(log, a_record(60), a_record(99), a_record(200))
    assert found(log) == ["id-200"]


def test_a_line_that_is_too_long_does_not_hide_the_calls_before_it(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_BLOCK", 700)
    monkeypatch.setattr(journal, "_LONGEST_LINE", 700)
    write(log, a_record(1))
    with log.open("ab") as file:
        file.write(b"x" * 5000 + b"\n")
    abandoned(log, a_record(1), a_record(2))
    assert found(log) == ["id-2"]


LINES = st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")), max_size=20)


@given(LINES, st.integers(1, 40), st.integers(1, 40))
def test_lines_are_read_from_the_end_whole_and_once(lines: list[bytes], block: int, longest: int) -> None:
    path = Path(f"/dev/fd/{os.memfd_create('lines')}")
    path.write_bytes(b"\n".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "_BLOCK", block)
        patch.setattr(journal, "_LONGEST_LINE", longest)
        read = [list(some) for some in journal._lines_from_end(path)]
    os.close(int(path.name))
    kept = [line for some in reversed(read) for line in some]
    # A line that lies in one block is never too long; those that are empty do not matter.
    sure = [line for line in lines if 0 < len(line) <= longest]
    assert [line for line in kept if 0 < len(line) <= longest] == sure
    assert {line for line in kept if line} <= set(lines)


HOSTILE = {
    "path": "/" + "%41" * 20_000,
    "user_agent": "\x01" * 512,
    "workflow": "\u044b" * 10_000,
    "caller": "\x7f" * 600,
}


def test_a_record_that_is_too_long_is_shortened_and_still_identifies_its_call(log: Path) -> None:
    inputs = ["name" * 30] * 64
    abandoned(log, a_record(1, inputs=inputs, ignored_fields=inputs, org="o" * 9000, **HOSTILE))
    [record] = recover_interrupted(name(log), str(log))
    assert len(msgspec.json.encode(record)) < SLOT
    assert (record.ts, record.request_id, record.endpoint) == (BEGINNING + timedelta(seconds=1), "id-1", "trigger")
    assert HOSTILE["path"].startswith(record.path)


def test_a_damaged_record_is_skipped(log: Path, folder: Path) -> None:
    abandoned(log, a_record(1), a_record(2))
    [file] = folder.iterdir()
    content = bytearray(file.read_bytes())
    content[1:10] = b"\xff" * 9
    file.write_bytes(content)
    assert found(log) == ["id-2"]


def test_files_that_are_not_ours_are_not_read(log: Path, folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"\x01" + msgspec.json.encode(a_record(1)) + b"\n" + b"\0" * SLOT)
    (folder / f"{name(log)}link").symlink_to(secret)
    (folder / f"{name(log)}empty").touch()
    assert found(log) == []
    assert secret.exists()


def test_logs_on_standard_output_have_a_journal_per_address() -> None:
    names = {journal_prefix("-", address) for address in ("127.0.0.1:1", "127.0.0.1:2")} | {
        journal_prefix("./-", "127.0.0.1:1")
    }
    assert len(names) == 3


def test_a_log_has_one_journal_prefix_however_its_path_is_written(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(log.parent)
    assert journal_prefix("callers.jsonl", "a:1") == journal_prefix(f"{log.parent}/x/../callers.jsonl", "a:2")


def test_the_journal_survives_kill_9(log: Path, folder: Path) -> None:
    script = (
        "import os, signal, sys, msgspec\n"
        "from proxy.callers.log import journal\n"
        "from proxy.callers.record import CallRecord\n"
        "journal.memory_folder = lambda: sys.argv[1]\n"
        "journal.Journal(sys.argv[2], 4).begin(msgspec.json.decode(sys.argv[3], type=CallRecord))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    line = msgspec.json.encode(a_record(1)).decode()
    end = subprocess.run([sys.executable, "-c", script, str(folder), name(log), line], check=False, timeout=60)
    assert end.returncode == -9
    assert found(log) == ["id-1"]
