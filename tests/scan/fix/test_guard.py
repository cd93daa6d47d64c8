"""Which files may be changed: those that git can bring back."""

from pathlib import Path

import pytest

from proxy.scan.fix.guard import Guard
from tests.scan.repositories import run_git

CHANGED = "git shows the file as changed or new: commit it first, or use --force"


def problem(path: Path) -> str | None:
    return Guard().problem(str(path), path.read_bytes())


@pytest.fixture
def top(tmp_path: Path) -> Path:
    run_git(tmp_path, "init", "-q")
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b/ż").write_bytes(b"a\r\n")
    run_git(tmp_path, "add", ".")
    run_git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a")
    return tmp_path


def test_a_file_as_it_was_committed_may_be_changed(top: Path) -> None:
    assert problem(top / "a b/ż") is None


def test_one_that_was_changed_or_is_new_may_not(top: Path) -> None:
    (top / "new").write_text("a")
    (top / "a b/ż").write_text("b")
    assert (problem(top / "new"), problem(top / "a b/ż")) == (CHANGED, CHANGED)


def test_nor_one_that_is_staged_or_ignored(top: Path) -> None:
    (top / "staged").write_text("a")
    run_git(top, "add", "staged")
    (top / ".gitignore").write_text("ignored\n")
    (top / "ignored").write_text("a")
    assert (problem(top / "staged"), problem(top / "ignored")) == (CHANGED, CHANGED)


def test_line_ends_that_git_converts_are_no_change(top: Path) -> None:
    run_git(top, "config", "core.autocrlf", "true")
    (top / "crlf").write_bytes(b"a\r\n")
    run_git(top, "add", "crlf")
    run_git(top, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "b")
    assert problem(top / "crlf") is None


def test_without_a_commit_or_a_repository_nothing_can_be_undone(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    assert problem(tmp_path / "a") == "no repository holds the file, so a change could not be undone: use --force"
    run_git(tmp_path, "init", "-q")
    run_git(tmp_path, "add", "a")
    assert (problem(tmp_path / "a") or "").endswith("so it is not known whether the file was changed: use --force")


def test_no_filter_of_the_repository_is_run(top: Path) -> None:
    run_git(top, "config", "filter.x.clean", f"touch '{top}/ran'")
    (top / ".gitattributes").write_text("* filter=x\n")
    (top / "a b/ż").write_bytes(b"b\n")
    assert problem(top / "a b/ż") == CHANGED
    assert not (top / "ran").exists()


def test_other_hashes_of_git_are_known(tmp_path: Path) -> None:
    run_git(tmp_path, "init", "-q", "--object-format=sha256")
    (tmp_path / "a").write_text("a")
    run_git(tmp_path, "add", ".")
    run_git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a")
    assert problem(tmp_path / "a") is None
