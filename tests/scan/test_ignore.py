"""What is ignored, held to git itself."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.scan.walk import Scan
from tests.deploy.tools import program

FOLDERS = ("", "a", "b", "build", "a/b", "a/build", "b/a", "build/a", "a/b/a")
FILES = ("x.py", "k.txt", "c")
PATTERNS = """* */ !*/ *.py !*.py *.t?t a a/ !a !a/ /a /a/ !/a/b a/b a/* !a/* a/** !a/** **/b **/b/ a/**/b build/
!build/ !build/x.py /build/* !build/a b* [ab] ? #c \\!x !k.txt k.txt /* !/b a/b/ ** !**/ b/*.py [ ! a\\ c/""".split()


@pytest.fixture(scope="module")
def needs_git() -> None:
    program("git")


def run_git(folder: Path, *arguments: str) -> str:
    # Nobody's own settings, and no repository around the folder.
    environment = {"PATH": "/usr/bin:/bin", "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(folder)}
    command = ["git", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout


def tree(folder: Path) -> None:
    for name in FOLDERS:
        (folder / name).mkdir(exist_ok=True, parents=True)
        for file in FILES:
            (folder / name / file).write_text("runWorkflow")


def seen(folder: Path, below: str = "") -> set[str]:
    scan = Scan()
    scan.examine([str(folder / below)])
    return {str(Path(located.file).relative_to(folder)) for located in scan.found} - {".gitignore"}


patterns = st.lists(st.sampled_from(PATTERNS), max_size=4).map("\n".join)


@pytest.mark.usefixtures("needs_git")
@given(root=patterns, nested=patterns, exclude=patterns)
@example(root="a/**\n!a/c", nested="", exclude="")
@settings(max_examples=60, deadline=None)
def test_what_git_ignores_is_left_out_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, root: str, nested: str, exclude: str
) -> None:
    folder = tmp_path_factory.mktemp("tree")
    run_git(folder, "init", "-q")
    tree(folder)
    (folder / ".gitignore").write_text(root)
    (folder / "a" / ".gitignore").write_text(nested)
    (folder / ".git" / "info" / "exclude").write_text(exclude)

    listed = set(run_git(folder, "ls-files", "--others", "--exclude-standard", "-z").split("\0"))

    assert seen(folder) == listed - {"", ".gitignore", "a/.gitignore"}


@pytest.mark.usefixtures("needs_git")
def test_a_linked_working_tree_has_the_excludes_of_its_repository(tmp_path: Path) -> None:
    main, linked = tmp_path / "main", tmp_path / "linked"
    main.mkdir()
    run_git(main, "init", "-q")
    run_git(main, "-c", "user.name=n", "-c", "user.email=e", "commit", "-q", "--allow-empty", "-m", "m")
    run_git(main, "worktree", "add", "-q", str(linked))
    (main / ".git" / "info" / "exclude").write_text("k.txt\n")
    (linked / "k.txt").write_text("runWorkflow")
    (linked / "x.py").write_text("runWorkflow")

    assert seen(linked) == {"x.py"}


def test_a_folder_below_the_root_of_a_repository_keeps_the_rules_from_above(tmp_path: Path) -> None:
    tree(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text("/a/*.py\nk.txt\n")

    assert seen(tmp_path, "a") == {"a/c", "a/b/c", "a/b/x.py", "a/b/a/c", "a/b/a/x.py", "a/build/c", "a/build/x.py"}


def test_rules_above_the_root_of_a_repository_are_another_repositorys(tmp_path: Path) -> None:
    tree(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / "b" / ".git").mkdir()
    (tmp_path / ".gitignore").write_text("k.txt\nx.py\n")

    assert seen(tmp_path, "b") == {f"b/{name}{file}" for name in ("", "a/") for file in FILES}
    assert "b/k.txt" in seen(tmp_path)


@pytest.mark.parametrize("pattern", ["build/", "/build", "*"])
def test_an_ignored_folder_that_is_named_is_examined(tmp_path: Path, pattern: str) -> None:
    tree(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text(f"{pattern}\n")

    assert "build/c" not in seen(tmp_path)
    assert "build/c" in seen(tmp_path, "build")


def test_rules_hold_without_a_repository(tmp_path: Path) -> None:
    tree(tmp_path)
    (tmp_path / ".gitignore").write_bytes(b"\xef\xbb\xbf*.py\r\n[z-a]\r\na\\\r\n")

    assert not any(file.endswith(".py") for file in seen(tmp_path))
    assert "a/c" in seen(tmp_path)


def test_a_pattern_made_to_take_for_ever_is_passed_over(tmp_path: Path) -> None:
    name = "a" * 250
    (tmp_path / name).write_text("runWorkflow")
    (tmp_path / ".gitignore").write_text("*a" * 20 + "b\n" + "**/a/" * 20 + "b\n")

    assert seen(tmp_path) == {name}
