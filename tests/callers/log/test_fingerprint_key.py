import os
import re
import stat
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from proxy.callers.identity import fingerprint
from proxy.callers.log.files import STDOUT
from proxy.callers.log.fingerprint_key import fingerprint_key, key_id
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


# --- a file that is not to be trusted


@pytest.mark.parametrize("content", [b"", b"\n", b"short", b"x" * 15, b"x" * 5000])
def test_a_key_of_the_wrong_length_is_refused_with_the_remedy(path: Path, content: bytes) -> None:
    path.with_suffix(".key").write_bytes(content)

    with pytest.raises(OSError, match="does not have 16 to 4096 bytes; restore it"):
        fingerprint_key(None, str(path))
    assert path.with_suffix(".key").read_bytes() == content


@pytest.mark.parametrize("mode", [0o602, 0o620, 0o666])
def test_a_key_that_others_can_write_is_refused_with_the_remedy(path: Path, mode: int) -> None:
    fingerprint_key(None, str(path))
    kept_key(path).chmod(mode)

    with pytest.raises(OSError, match="other users can write it; run chmod 600"):
        fingerprint_key(None, str(path))


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640, 0o644])
def test_a_key_that_others_can_at_most_read_is_taken(path: Path, mode: int) -> None:
    made = fingerprint_key(None, str(path))
    kept_key(path).chmod(mode)

    assert fingerprint_key(None, str(path)) == made


@pytest.mark.parametrize("kind", ["a pipe", "a folder", "a device"])
def test_anything_but_a_file_is_refused_with_the_remedy(path: Path, kind: str) -> None:
    key = path.with_suffix(".key")
    if kind == "a pipe":
        os.mkfifo(key, 0o600)
    elif kind == "a folder":
        key.mkdir()
    else:
        key.symlink_to("/dev/zero")

    with pytest.raises(OSError, match="is not a regular file; remove it") as refused:
        fingerprint_key(None, str(path))
    assert (refused.value.filename, bool(refused.value.strerror)) == (str(key), True)


def test_a_key_may_be_a_link_to_a_file(path: Path) -> None:
    key = path.with_suffix(".secret")
    key.write_bytes(b"0123456789abcdef\n")
    path.with_suffix(".key").symlink_to(key)

    assert fingerprint_key(None, str(path)) == b"0123456789abcdef"


def test_the_id_of_a_key_tells_keys_apart_and_is_no_fingerprint() -> None:
    assert key_id(b"one") == key_id(b"one") != key_id(b"other")
    assert re.fullmatch("[0-9a-f]{12}", key_id(b"one"))
    assert key_id(b"one") not in {fingerprint(b"one", text) for text in ("", "one", "id")}


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
