import gzip
import os
from pathlib import Path

import pytest

from proxy.callers.log.copies import Log, without_copies
from proxy.callers.log.files import NoLog
from tests.callers.lines import call, line, log

LINES = [line(call(request_id=f"{number:032}")) for number in range(2000)]
WHOLE = b"".join(LINES)
OTHER = line(call(request_id="other"))


def kept(folder: Path, *contents: bytes) -> tuple[dict[str, int], list[str]]:
    """Which of some logs are read, and what of them is skipped; and what is told of it."""
    paths = [folder / str(number) for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    said: list[str] = []
    logs = without_copies(map(str, paths), said.append)
    return {Path(found.path).name: found.skip for found in logs}, [text.replace(f"{folder}/", "") for text in said]


def test_logs_that_differ_are_read_whole(tmp_path: Path) -> None:
    assert kept(tmp_path, WHOLE, OTHER, b"", b"") == ({"0": 0, "1": 0, "2": 0, "3": 0}, [])


@pytest.mark.parametrize("copy", [WHOLE, gzip.compress(WHOLE), WHOLE[:-1], LINES[0], gzip.compress(WHOLE)[:-100]])
def test_a_copy_is_not_read(tmp_path: Path, copy: bytes) -> None:
    assert kept(tmp_path, WHOLE, copy) == ({"0": 0}, ["1 repeats 0: it is not read"])


@pytest.mark.parametrize(
    "copy", [LINES[0], WHOLE[:-1], gzip.compress(WHOLE)[:-100], b"".join(LINES[:100]) + LINES[100][:50]]
)
def test_a_copy_that_comes_first_is_not_read_either(tmp_path: Path, copy: bytes) -> None:
    assert kept(tmp_path, copy, OTHER, WHOLE) == ({"1": 0, "2": 0}, ["0 repeats 2: it is not read"])


def test_blank_lines_before_a_log_do_not_hide_that_it_is_a_copy(tmp_path: Path) -> None:
    assert kept(tmp_path, b"\n" + WHOLE, b"\n" + WHOLE)[0] == {"0": 0}


def test_what_two_logs_have_in_common_is_read_once_by_whole_lines(tmp_path: Path) -> None:
    shared, more = b"".join(LINES[:1500]), LINES[1500][:-60]
    found, said = kept(tmp_path, shared + more + b"torn\n", shared + LINES[1500])

    assert found == {"0": 0, "1": len(shared)}
    assert said == ["1 begins as another log does: what they share is read once"]


def test_no_line_is_lost_if_a_log_that_was_compared_is_a_copy_of_a_third(tmp_path: Path) -> None:
    short, fork, long = b"".join(LINES[:5]), b"".join(LINES[:3]) + OTHER, b"".join(LINES[:9])
    found, _ = kept(tmp_path, short, fork, long)

    assert found == {"1": 0, "2": len(b"".join(LINES[:3]))}


def test_links_lead_to_one_file(tmp_path: Path) -> None:
    path, soft, hard = tmp_path / "a", tmp_path / "soft", tmp_path / "hard"
    path.write_bytes(WHOLE)
    soft.symlink_to(path)
    os.link(path, hard)
    said: list[str] = []

    assert without_copies(map(str, (soft, hard, path, path)), said.append) == [Log(str(soft))]
    assert said == [f"{name} and {soft} are the same file: it is read once" for name in (hard, path, path)]


def test_what_can_be_read_only_once_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    said: list[str] = []

    assert without_copies([str(tmp_path / "pipe"), "-", "-"], said.append) == [Log(str(tmp_path / "pipe")), Log("-")]
    assert said == ["- and - are the same file: it is read once"]


def test_a_log_that_cannot_be_opened_is_left_to_whoever_reads_it(tmp_path: Path) -> None:
    assert without_copies([str(tmp_path / "gone")], print) == [Log(str(tmp_path / "gone"))]
    (tmp_path / "log").write_bytes(log(call()))
    (tmp_path / "log").chmod(0)
    if os.getuid():
        with pytest.raises(NoLog):
            without_copies([str(tmp_path / "log")], print)
