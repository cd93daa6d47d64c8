"""What is examined, what is left out, and what is said of it."""

import inspect
import os
import socket
import sys
from pathlib import Path

import pytest

from proxy.scan.files import LARGEST
from proxy.scan.scan import Scan
from tests.scan.repositories import run_git
from tests.support.users import unprivileged

CALL = "/acme/shop/ci_workflows/build/trigger"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def examined(*paths: str) -> Scan:
    scan = Scan()
    scan.examine(paths)
    return scan


def files(scan: Scan) -> list[str]:
    return [located.file for located in scan.found]


def test_files_are_examined_in_order_and_named_as_the_command_line_leads_to_them(folder: Path) -> None:
    for name in ("b/c", "a/z", "top"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(CALL)

    scan = examined(".")

    assert files(scan) == ["top", "a/z", "b/c"]
    assert (scan.files, scan.folders) == (3, 3)
    assert files(examined(str(folder / "a"), "./top")) == [str(folder / "a" / "z"), "top"]


def test_nothing_is_examined_twice(folder: Path) -> None:
    (folder / "a").mkdir()
    (folder / "a" / "b").write_text(CALL)

    assert files(examined("a/b", "a", ".", "a/../a/b")) == ["a/b"]


def test_what_is_left_out_is_counted(folder: Path) -> None:
    run_git(folder, "init", "-q")
    (folder / ".git" / "description").write_text(CALL)
    (folder / ".gitignore").write_text("out/\n*.log\n")
    (folder / "out").mkdir()
    (folder / "out" / "a").write_text(CALL)
    (folder / "x.log").write_text(CALL)
    (folder / "binary").write_bytes(CALL.encode() + b"\0")
    (folder / "large").write_bytes(CALL.encode().ljust(LARGEST + 1))
    (folder / "largest").write_bytes(CALL.encode().ljust(LARGEST))
    (folder / "link").symlink_to("largest")

    scan = examined(".")

    assert files(scan) == ["largest"]
    assert (scan.files, scan.folders) == (2, 1)
    assert scan.left_out == {
        "ignored": 2, "excluded": 0, "binary": 1, "too_large": 1, "unreadable": 0, "links": 1,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["x.log", "binary", "large", "link"])
def test_a_file_that_is_named_is_examined_whatever_it_is(folder: Path, name: str) -> None:
    run_git(folder, "init", "-q")
    (folder / ".gitignore").write_text("*.log\n")
    (folder / "x.log").write_text(CALL)
    (folder / "binary").write_bytes(b"\0" + CALL.encode())
    (folder / "large").write_bytes(CALL.encode().ljust(LARGEST + 1))
    (folder / "link").symlink_to("x.log")

    assert files(examined(".", name)) == [name]


def test_links_lead_nowhere(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret").write_text(CALL)
    (folder / "loop").symlink_to(".")
    (folder / "out").symlink_to(outside)
    (folder / "dangling").symlink_to("nowhere")

    assert (files(examined(".")), examined(".").left_out["links"]) == ([], 3)
    assert files(examined("out")) == ["out/secret"]


def test_pipes_and_sockets_in_a_folder_are_passed_by(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        assert examined(".").files == 0


def test_what_is_named_and_is_not_there_is_a_problem_and_the_rest_is_examined(folder: Path) -> None:
    (folder / "a").write_text(CALL)
    (folder / "loop").symlink_to("loop")

    scan = examined("nowhere", "a", "a/b", "loop", "nul\0")

    assert files(scan) == ["a"]
    assert [problem.partition(":")[0] for problem in scan.problems] == ["nowhere", "a/b", "loop", "nul\0"]


def test_what_cannot_be_read_is_counted_in_a_folder_and_a_problem_where_it_is_named(folder: Path) -> None:
    folder.chmod(0o755)
    (folder / "shut").mkdir()
    (folder / "secret").write_text(CALL)
    (folder / "open").write_text(CALL)
    for name in ("shut", "secret"):
        (folder / name).chmod(0)

    with unprivileged():
        walked, named = examined("."), examined("secret", "shut", "open")

    assert (files(walked), walked.left_out["unreadable"], walked.problems) == (["open"], 2, [])
    assert (files(named), named.left_out["unreadable"]) == (["open"], 0)
    assert sorted(named.problems) == ["secret: Permission denied", "shut: Permission denied"]


def test_a_tree_that_is_deeper_than_calls_may_be_is_walked(folder: Path) -> None:
    deep = folder
    for _ in range(400):
        deep /= "d"
        deep.mkdir()
    (deep / "x").write_text(CALL)
    limit = sys.getrecursionlimit()

    sys.setrecursionlimit(len(inspect.stack()) + 200)
    try:
        assert len(files(examined("."))) == 1
    finally:
        sys.setrecursionlimit(limit)


def test_names_of_any_bytes_are_read(folder: Path) -> None:
    names = [b"\xff.sh", b"a\nb", b"\x1b[31m", "żółw 😀".encode(), b"-", b"100%25"]
    for name in names:
        (folder / os.fsdecode(name)).write_text(CALL)

    assert sorted(map(os.fsencode, files(examined(".")))) == sorted(names)


@pytest.mark.parametrize("name", ["/dev/zero", "/dev/null"])
def test_a_device_that_is_named_is_a_problem(name: str) -> None:
    scan = Scan()
    scan.examine([name])

    assert (scan.problems, scan.files) == ([f"{name}: is a device or a socket, not a file"], 0)


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        (["vendor"], ["a/b.sh", "a/c.md", "top.sh"]),
        (["*.sh"], ["a/c.md"]),
        (["a/*.md", "vendor/"], ["a/b.sh", "top.sh"]),
        (["./top.sh", "a/vendor"], ["a/b.sh", "a/c.md", "vendor/d.sh"]),
        (["nothing", "b"], ["a/b.sh", "a/c.md", "a/vendor/e.sh", "top.sh", "vendor/d.sh"]),
    ],
)
def test_a_pattern_excludes_a_name_anywhere_or_one_path(folder: Path, patterns: list[str], left: list[str]) -> None:
    for name in ("top.sh", "a/b.sh", "a/c.md", "a/vendor/e.sh", "vendor/d.sh"):
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text(CALL)

    for top in (".", str(folder)):
        scan = Scan()
        scan.examine([top], patterns)

        assert sorted(os.path.relpath(name) for name in files(scan)) == left
        assert (scan.left_out["excluded"] > 0) is (len(left) < 5)


def test_a_file_that_is_named_is_excluded_too(folder: Path) -> None:
    (folder / "a").write_text(CALL)
    scan = Scan()

    scan.examine(["a"], ["a"])

    assert (files(scan), scan.left_out["excluded"]) == ([], 1)
