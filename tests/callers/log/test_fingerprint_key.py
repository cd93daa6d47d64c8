import os
import stat
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from proxy.callers.log.files import STDOUT
from proxy.callers.log.fingerprint_key import fingerprint_key
from tests.callers.processes import WRITERS, run_together


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "callers.jsonl"


def kept_key(log: Path) -> Path:
    (key,) = {file for file in log.parent.iterdir() if file != log}
    return key


def test_a_key_is_created_once_next_to_the_log(path: Path) -> None:
    first = fingerprint_key(None, str(path))

    assert len(first) >= 32
    assert fingerprint_key(None, str(path)) == first
    assert first in kept_key(path).read_bytes()


def test_the_key_file_is_private(path: Path) -> None:
    umask = os.umask(0)
    try:
        fingerprint_key(None, str(path))
    finally:
        os.umask(umask)

    assert stat.S_IMODE(kept_key(path).stat().st_mode) == 0o600


def test_the_folder_of_the_key_is_created(tmp_path: Path) -> None:
    assert fingerprint_key(None, str(tmp_path / "var" / "log" / "callers.jsonl"))


def test_two_logs_in_two_folders_have_two_keys(tmp_path: Path) -> None:
    assert fingerprint_key(None, str(tmp_path / "a" / "log")) != fingerprint_key(None, str(tmp_path / "b" / "log"))


def test_a_configured_key_wins_and_no_file_is_created(path: Path) -> None:
    made = fingerprint_key(None, str(path))
    kept_key(path).unlink()

    assert fingerprint_key("configured", str(path)) == b"configured" != made
    assert fingerprint_key("configured", STDOUT) == b"configured"
    assert list(path.parent.iterdir()) == []


def test_with_a_log_on_standard_output_the_key_is_temporary_with_a_warning(
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
