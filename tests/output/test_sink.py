import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from proxy.output.sink import AppendedFile, StandardOutput
from tests.callers.lines import request_ids, written
from tests.callers.processes import WRITERS, run_together
from tests.support.disks import small_disk
from tests.support.paths import ROOT
from tests.support.processes import running


def line(request_id: str, **fields: str) -> bytes:
    return json.dumps({"request_id": request_id, **fields}).encode() + b"\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "callers.jsonl"


@pytest.fixture
def file(path: Path) -> Iterator[AppendedFile]:
    opened = AppendedFile(path)
    yield opened
    opened.close()


# --- rotation


def test_after_a_rotation_by_rename_lines_go_to_a_new_file_and_none_is_lost(file: AppendedFile, path: Path) -> None:
    rotated = path.with_name("callers.jsonl.1")
    file.append(line("before"))
    path.rename(rotated)
    file.append(line("after"))
    file.append(line("later"))

    assert request_ids(rotated) == ["before"]
    assert request_ids(path) == ["after", "later"]


def test_lines_follow_to_a_file_that_rotation_made_for_them(file: AppendedFile, path: Path) -> None:
    path.rename(path.with_name("callers.jsonl.1"))
    path.touch()
    file.append(line("after"))

    assert request_ids(path) == ["after"]


def test_a_file_that_is_cut_to_nothing_begins_anew(file: AppendedFile, path: Path) -> None:
    file.append(line("before"))
    os.truncate(path, 0)
    file.append(line("after"))

    assert request_ids(path) == ["after"]


def test_a_file_that_is_deleted_is_begun_again(file: AppendedFile, path: Path) -> None:
    file.append(line("before"))
    path.unlink()
    file.append(line("after"))

    assert request_ids(path) == ["after"]


def test_a_file_whose_folder_is_deleted_is_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "callers.jsonl"
    file = AppendedFile(path)
    path.unlink()
    path.parent.rmdir()
    file.append(line("after"))
    file.close()

    assert request_ids(path) == ["after"]


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_rotations_leave_no_descriptor_behind(file: AppendedFile, path: Path) -> None:
    before = open_descriptors()
    for _ in range(20):
        file.append(line("r-1"))
        path.unlink()
    file.append(line("r-1"))

    assert open_descriptors() == before


# --- several processes

LINES = 30


def write_in_each_way(folder: str, writer: int, together: Barrier) -> None:
    for write in (write_many, begin_many_times, write_many_to_a_pipe):
        together.wait(60)
        write(Path(folder), writer)


def write_many(folder: Path, writer: int) -> None:
    path = folder / "rotated" / "callers.jsonl"
    file = AppendedFile(path)
    for number in range(LINES):
        size = (1, 5_000, 20_000, 200_000)[number % 4]
        file.append(line(f"{writer}-{number}", text=str(writer) * size))
        if writer == 0 and number % 10 == 9:
            path.rename(f"{path}.{number}")
    file.close()


def begin_many_times(folder: Path, writer: int) -> None:
    for number in range(LINES):
        file = AppendedFile(folder / "begun")
        file.append(line(f"{writer}-{number}", text=str(writer) * (1, 200_000)[number % 2]))
        file.close()


def write_many_to_a_pipe(folder: Path, writer: int) -> None:
    os.dup2(os.open(folder / "pipe", os.O_WRONLY), 1)
    output = StandardOutput()
    for number in range(LINES):
        output.append(line(f"{writer}-{number}", text=str(writer) * (1, 100_000)[number % 2]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What several processes have written at once, in one way after the other."""
    folder = tmp_path_factory.mktemp("together")
    (folder / "rotated").mkdir()
    os.mkfifo(folder / "pipe")
    copying = ["cat", str(folder / "pipe")]
    with (folder / "piped").open("wb") as copy, running(subprocess.Popen(copying, stdout=copy)) as reader:
        run_together(write_in_each_way, str(folder))
        assert reader.wait(60) == 0
    return folder


def assert_all_are_whole(events: list[dict[str, str]]) -> None:
    assert all(set(event["text"]) == {event["request_id"][0]} for event in events)
    assert sorted(event["request_id"] for event in events) == sorted(
        f"{writer}-{number}" for writer in range(WRITERS) for number in range(LINES)
    )


def test_processes_that_append_at_once_tear_and_lose_no_line_even_in_rotation(folder: Path) -> None:
    files = list((folder / "rotated").iterdir())
    assert len(files) >= LINES / 10
    assert_all_are_whole([event for file in files for event in written(file)])


def test_who_begins_while_another_writes_takes_no_line_for_a_fragment(folder: Path) -> None:
    assert_all_are_whole(written(folder / "begun"))


def test_processes_that_share_a_pipe_tear_no_line_though_the_pipe_is_smaller(folder: Path) -> None:
    assert_all_are_whole(written(folder / "piped"))


# --- a full disk

TWO_WORKERS = """
import contextlib, os, resource, sys
from pathlib import Path
from proxy.output.sink import AppendedFile
from tests.output.test_sink import line

path, order = Path(sys.argv[1]), sys.argv[2]
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
workers = [AppendedFile(path), AppendedFile(path)]
workers[0].append(line("whole"))
resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 5, hard))
for worker in workers:
    with contextlib.suppress(OSError):
        worker.append(line("lost"))
        sys.exit("the disk is not full")
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
for worker in order:
    workers[int(worker)].append(line(f"after-{worker}"))
"""


@pytest.mark.parametrize("order", ["01", "10"])
def test_no_worker_glues_a_line_to_the_fragment_of_another(path: Path, order: str) -> None:
    subprocess.run([sys.executable, "-c", TWO_WORKERS, str(path), order], check=True, timeout=60, cwd=ROOT)

    whole, fragment, *after = path.read_bytes().splitlines()
    assert json.loads(whole)["request_id"] == "whole"
    assert len(fragment) == 5
    assert [json.loads(found)["request_id"] for found in after] == [f"after-{worker}" for worker in order]


def test_on_a_disk_that_is_full_a_line_fails_and_the_next_that_fits_is_whole(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk):
        path, filler = disk / "callers.jsonl", disk / "filler"
        file = AppendedFile(path)
        file.append(line("whole"))
        filler.write_bytes(b"x" * (56 << 10))
        with pytest.raises(OSError, match="of 20035 bytes written"):
            file.append(line("lost", text="x" * 20_000))
        with pytest.raises(OSError, match="No space left"):
            file.append(line("lost"))
        filler.unlink()
        file.append(line("after"))
        file.append(line("later"))
        file.close()

        whole, fragment, *after = path.read_bytes().splitlines()
        assert json.loads(whole)["request_id"] == "whole"
        assert line("lost", text="x" * 20_000).startswith(fragment)
        assert [json.loads(found)["request_id"] for found in after] == ["after", "later"]


# --- what is no file


def test_a_pipe_with_a_name_takes_lines_like_standard_output(tmp_path: Path) -> None:
    pipe = tmp_path / "callers.jsonl"
    os.mkfifo(pipe)
    file = AppendedFile(pipe)
    file.append(line("r-1"))
    file.append(line("r-2"))

    reader = os.open(pipe, os.O_RDONLY)
    assert os.read(reader, 1000) == line("r-1") + line("r-2")
    os.close(reader)
    file.close()
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert list(tmp_path.iterdir()) == [pipe]


@pytest.mark.parametrize("umask", [0, 0o077])
def test_the_folders_of_a_log_are_closed_to_other_users_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    tmp_path.chmod(0o705)
    before = os.umask(umask)
    try:
        AppendedFile(tmp_path / "var" / "log" / "callers.jsonl").close()
    finally:
        os.umask(before)

    folders = (tmp_path, tmp_path / "var", tmp_path / "var" / "log")
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == [0o705, 0o750, 0o750]
