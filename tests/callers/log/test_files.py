import os
from datetime import timedelta
from pathlib import Path

import pytest

from proxy.callers.log.files import STDOUT, NoLog, is_stream, log_files
from tests.callers.lines import NOW


def test_rotated_logs_are_found_oldest_first(tmp_path: Path) -> None:
    names = [
        "callers.jsonl-20261101.gz",
        "callers-20261108.jsonl",
        "callers.jsonl.2.gz",
        "callers.jsonl.1",
        "callers.jsonl",
    ]
    for age, name in enumerate([*names, "callers.key", "other.jsonl", "callers.jsonl.d/x"]):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.touch()
        moment = (NOW + timedelta(days=age)).timestamp()
        os.utime(file, (moment, moment))

    assert log_files(str(tmp_path / "callers.jsonl")) == [str(tmp_path / name) for name in names]


def test_without_a_log_the_message_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NoLog, match="there is no log yet"):
        log_files(str(tmp_path / "callers.jsonl"))
    with pytest.raises(NoLog, match="standard output: name the files"):
        log_files(STDOUT)


@pytest.mark.parametrize("name", ["calls", "calls[1].jsonl"])
def test_a_log_may_have_any_name(tmp_path: Path, name: str) -> None:
    for file in (name, f"{name}.1", "other"):
        (tmp_path / file).write_bytes(b"")

    assert {Path(path).name for path in log_files(str(tmp_path / name))} == {name, f"{name}.1"}


def test_what_cannot_be_read_again_is_a_stream(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")

    assert {name: is_stream(str(tmp_path / name)) for name in ("file", "pipe", "missing")} == {
        "file": False,
        "pipe": True,
        "missing": False,
    }
    assert is_stream("/dev/stdout")
