"""What is ignored, held to git itself."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.scan import ignored
from proxy.scan.scan import Scan
from tests.scan.repositories import run_git
from tests.support.examples import examples

FOLDERS = ("", "a", "b", "build", "a/b", "a/build", "b/a", "build/a", "a/b/a")
FILES = ("x.py", "k.txt", "c")
PATTERNS = """* */ !*/ *.py !*.py *.t?t a a/ !a !a/ /a /a/ !/a/b a/b a/* !a/* a/** !a/** **/b **/b/ a/**/b build/
!build/ !build/x.py /build/* !build/a b* [ab] ? #c \\!x !k.txt k.txt /* !/b a/b/ ** !**/ b/*.py [ ! a\\ c/""".split()


def tree(folder: Path) -> None:
    for name in FOLDERS:
        (folder / name).mkdir(exist_ok=True, parents=True)
        for file in FILES:
            (folder / name / file).write_text("flux_public_id")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    run_git(tmp_path, "init", "-q")
    tree(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def one_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    run_git(folder, "init", "-q")
    tree(folder)
    return folder


def scanned(folder: Path) -> Scan:
    scan = Scan()
    scan.examine([str(folder)])
    return scan


def seen(folder: Path, below: str = "") -> set[str]:
    found = scanned(folder / below).found
    return {str(Path(located.file).relative_to(folder)) for located in found} - {".gitignore"}


def warning(folder: Path) -> str:
    [found] = scanned(folder).warnings
    return found


patterns = st.lists(st.sampled_from(PATTERNS), max_size=4).map("\n".join)


@given(root=patterns, nested=patterns, exclude=patterns)
@example(root="a/**\n!a/c", nested="", exclude="")
@settings(max_examples=examples(60), deadline=None)
def test_what_git_ignores_is_left_out_and_nothing_else(
    one_repository: Path, root: str, nested: str, exclude: str
) -> None:
    folder = one_repository
    (folder / ".gitignore").write_text(root)
    (folder / "a" / ".gitignore").write_text(nested)
    (folder / ".git" / "info" / "exclude").write_text(exclude)

    listed = set(run_git(folder, "ls-files", "--others", "--exclude-standard", "-z").split("\0"))

    assert seen(folder) == listed - {"", ".gitignore", "a/.gitignore"}


def test_a_tracked_file_is_examined_whatever_pattern_it_matches(repository: Path) -> None:
    (repository / ".gitignore").write_text("build/\n")
    run_git(repository, "add", "--force", "build/c")

    assert {name for name in seen(repository) if name.startswith("build")} == {"build/c"}


def test_a_linked_working_tree_has_the_excludes_of_its_repository(tmp_path: Path) -> None:
    main, linked = tmp_path / "main", tmp_path / "linked"
    main.mkdir()
    run_git(main, "init", "-q")
    run_git(main, "-c", "user.name=n", "-c", "user.email=e", "commit", "-q", "--allow-empty", "-m", "m")
    run_git(main, "worktree", "add", "-q", str(linked))
    (main / ".git" / "info" / "exclude").write_text("k.txt\n")
    (linked / "k.txt").write_text("flux_public_id")
    (linked / "x.py").write_text("flux_public_id")

    assert seen(linked) == {"x.py"}


def test_a_folder_inside_a_repository_keeps_the_rules_from_above(repository: Path) -> None:
    (repository / ".gitignore").write_text("/a/*.py\nk.txt\n")

    assert seen(repository, "a") == {"a/c", "a/b/c", "a/b/x.py", "a/b/a/c", "a/b/a/x.py", "a/build/c", "a/build/x.py"}


def test_a_repository_inside_another_has_its_own_rules(repository: Path) -> None:
    run_git(repository / "b", "init", "-q")
    (repository / ".gitignore").write_text("k.txt\nx.py\n")
    (repository / "b" / ".gitignore").write_text("c\n")
    own = {f"b/{name}{file}" for name in ("", "a/") for file in ("x.py", "k.txt")}

    assert seen(repository, "b") - {"b/.gitignore"} == own
    assert {name for name in seen(repository) if name.startswith("b/")} - {"b/.gitignore"} == own


@pytest.mark.parametrize("pattern", ["build/", "/build", "*"])
@pytest.mark.parametrize("below", ["build", "build/a"])
def test_an_ignored_folder_that_is_named_is_examined(repository: Path, pattern: str, below: str) -> None:
    (repository / ".gitignore").write_text(f"{pattern}\n")

    assert f"{below}/c" not in seen(repository)
    assert f"{below}/c" in seen(repository, below)


def test_outside_of_a_repository_nothing_is_ignored(tmp_path: Path) -> None:
    tree(tmp_path)
    (tmp_path / ".gitignore").write_text("*\n")

    assert seen(tmp_path) == {str(Path(name) / file) for name in FOLDERS for file in FILES}
    assert scanned(tmp_path).warnings == []


# --- where git cannot say


def everything(repository: Path) -> bool:
    return len(seen(repository)) == len(FOLDERS) * len(FILES)


def test_without_git_everything_is_examined_and_a_warning_says_so(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / ".gitignore").write_text("*\n")
    monkeypatch.setenv("PATH", str(repository))

    assert warning(repository) == f"{repository}: git is not installed; files that it ignores are examined, too"
    assert everything(repository)


def test_a_repository_that_git_refuses_is_examined_whole_with_the_reason(repository: Path) -> None:
    (repository / ".gitignore").write_text("*\n")
    (repository / ".git" / "config").write_text("[core\n")

    assert warning(repository).startswith(f"{repository}: git says: fatal: bad config line 1 in file ")
    assert everything(repository)


def test_a_pattern_made_to_take_for_ever_is_given_up(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ignored, "TIMEOUT", 0.5)
    (repository / "/".join("a" * 60)).mkdir(parents=True)
    (repository / ".gitignore").write_text("**/*a/" * 15 + "b\n")

    assert warning(repository) == f"{repository}: git takes longer than 0.5 s; files that it ignores are examined, too"


def test_many_stars_in_a_pattern_are_as_fast_as_one(repository: Path) -> None:
    (repository / ".gitignore").write_text("*" * 5000 + "]\nk.txt\n")
    (repository / ("a" * 200)).touch()

    assert "k.txt" not in seen(repository)


@pytest.mark.parametrize("kind", ["a pipe", "a device"])
@pytest.mark.parametrize("name", ["", "HEAD", "commondir", "config", "index", "info/exclude", "../.gitignore"])
def test_git_is_not_asked_to_read_anything_but_files(repository: Path, name: str, kind: str) -> None:
    path = Path(os.path.normpath(repository / ".git" / name))
    if not name:
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    if kind == "a pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")

    assert warning(repository) == (
        f"{repository}: git is not asked, because {path} is not a regular file; files that it ignores are examined, too"
    )


@pytest.mark.parametrize("where", ["the linked folder", "the main repository"])
def test_the_files_of_a_linked_working_tree_are_checked(tmp_path: Path, where: str) -> None:
    main, linked = tmp_path / "main", tmp_path / "linked"
    main.mkdir()
    run_git(main, "init", "-q")
    run_git(main, "-c", "user.name=n", "-c", "user.email=e", "commit", "-q", "--allow-empty", "-m", "m")
    run_git(main, "worktree", "add", "-q", str(linked))
    path = main / ".git" / ("worktrees/linked/index" if where == "the linked folder" else "info/exclude")
    path.unlink(missing_ok=True)
    os.mkfifo(path)

    assert path.name in warning(linked)
    assert "is not a regular file" in warning(linked)


def watches_files(repository: Path, command: Path) -> None:
    run_git(repository, "add", "c")
    run_git(repository, "config", "core.fsmonitor", str(command))


def fetches_what_is_missing(repository: Path, command: Path) -> None:
    """A partial clone with a sparse index, which lacks the list of the files in a folder."""
    run_git(repository, "add", "a", "b")
    run_git(repository, "-c", "user.name=n", "-c", "user.email=e", "commit", "-q", "-m", "m")
    run_git(repository, "sparse-checkout", "set", "--cone", "--sparse-index", "b")
    (repository / "a").mkdir(exist_ok=True)
    (repository / "a" / "new").touch()
    object_id = run_git(repository, "rev-parse", "HEAD:a").strip()
    (repository / ".git" / "objects" / object_id[:2] / object_id[2:]).unlink()
    for setting in (
        "core.repositoryFormatVersion=1",
        "extensions.partialClone=origin",
        "remote.origin.promisor=true",
        f"remote.origin.url=ext::{command}",
        "protocol.ext.allow=always",
    ):
        run_git(repository, "config", *setting.split("=", 1))


@pytest.mark.parametrize("configure", [watches_files, fetches_what_is_missing])
def test_no_command_that_the_repository_configures_is_run(
    repository: Path, configure: Callable[[Path, Path], None]
) -> None:
    command, mark = repository / "command", repository / "mark"
    command.write_text(f"#!/bin/sh\ntouch '{mark}'\n")
    command.chmod(0o755)
    configure(repository, command)
    run_git(repository, "ls-files", "--others")
    assert mark.exists(), "git itself would run it"
    mark.unlink()

    scanned(repository)

    assert not mark.exists()


def test_the_repository_of_a_hook_that_runs_the_scan_is_not_taken_for_another(
    repository: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path_factory.mktemp("other")
    run_git(other, "init", "-q")
    (other / ".git" / "info" / "exclude").write_text("*\n")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))

    assert everything(repository)
