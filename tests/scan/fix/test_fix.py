"""The files of a scan, changed or as a patch."""

import io
from pathlib import Path

import pytest

from proxy.scan.fix.fix import diff, fix
from proxy.scan.scan import Scan
from tests.scan.fix.planning import NEW, OLD
from tests.scan.repositories import run_git

SAFE = f"curl -X POST {OLD}\n"
READ = f"curl -X POST {OLD} | jq .flux_public_id\n"
GO = f'package main\nvar u = "{OLD}"'


@pytest.fixture(autouse=True)
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    run_git(tmp_path, "init", "-q")
    (tmp_path / ".git/info/exclude").write_text("the.patch\n")
    return tmp_path


def scanned(*, commit: bool = True, **texts: str) -> Scan:
    for name, text in texts.items():
        Path(name.replace("_", ".")).write_text(text)
    if commit:
        run_git(Path(), "add", ".")
        run_git(Path(), "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a")
    return rescanned()


def rescanned() -> Scan:
    scan = Scan()
    scan.examine(["."])
    return scan


def as_patch(scan: Scan) -> bytes:
    out = io.BytesIO()
    diff(scan, out)
    return out.getvalue()


def test_the_patch_makes_every_change_and_says_which_need_a_look_and_what_it_leaves(top: Path) -> None:
    made = as_patch(scanned(a_sh=SAFE, b_sh=READ, c_go=GO, d_sh="API=https://api.sourcecraft.tech\n"))
    comments = [line for line in made.decode().split("\n") if line.startswith("#")]
    assert comments == [
        "# b.sh:1:42: --fix makes this change only with --unsafe: its answer is read: look whether slug is what is needed",
        "# c.go:2:38: not changed: calls are changed only in shell scripts, Makefiles, Dockerfiles, YAML, Jenkinsfiles,"
        " Python and JavaScript",
        '#     POST /repos/acme/shop/cicd/runs with the body {"workflows": [{"name": "build"}]}',
    ]
    (top / "the.patch").write_bytes(made)
    run_git(top, "apply", "the.patch")
    assert NEW in Path("a.sh").read_text()
    assert Path("b.sh").read_text().endswith("| jq .slug\n")
    assert b"+++" not in as_patch(rescanned())


def test_fix_makes_the_safe_changes_and_says_why_it_leaves_the_others() -> None:
    scan = scanned(a_sh=SAFE, b_sh=READ, c_go=GO)
    lines = list(fix(scan, unsafe=False, force=False))
    assert [line.partition(": ")[::2] for line in lines] == [
        ("a.sh:1:42", "changed: POST /repos/acme/shop/cicd/runs"),
        ("b.sh:1:42", "not changed: only with --unsafe: its answer is read: look whether slug is what is needed"),
        ("b.sh:1:86", "not changed: only with --unsafe: its answer is read: look whether slug is what is needed"),
        ("c.go:2:38", "not changed: calls are changed only in shell scripts, Makefiles, Dockerfiles, YAML,"
         " Jenkinsfiles, Python and JavaScript"),
    ]  # fmt: skip
    assert (NEW in Path("a.sh").read_text(), Path("b.sh").read_text()) == (True, READ)
    assert (scan.changed, scan.calls, scan.looks) == (1, 2, 1)


def test_unsafe_makes_the_others_too_and_after_that_there_is_nothing_to_do() -> None:
    scan = scanned(a_sh=SAFE, b_sh=READ)
    assert [line.split(": ")[1] for line in fix(scan, unsafe=True, force=False)] == ["changed"] * 3
    assert (scan.calls, scan.looks, rescanned().found) == (0, 0, [])


def test_what_git_shows_as_changed_needs_force() -> None:
    scanned(a_sh="true\n")
    scan = scanned(a_sh=SAFE, commit=False)
    (line,) = fix(scan, unsafe=False, force=False)
    assert line == "a.sh:1:42: not changed: git shows the file as changed or new: commit it first, or use --force"
    assert (Path("a.sh").read_text(), scan.calls) == (SAFE, 1)
    assert [line.split(": ")[1] for line in fix(scan, unsafe=False, force=True)] == ["changed"]


def test_a_file_that_cannot_be_written_stays_among_the_findings(top: Path) -> None:
    scan = scanned(a_sh=SAFE)
    (top / "a.sh").rename(top / "b.sh")
    (top / "a.sh").symlink_to("b.sh")
    (line,) = fix(scan, unsafe=False, force=True)
    assert (line, scan.calls) == ("a.sh:1:42: not changed: it is a link, or not a regular file", 1)


def test_a_file_that_is_gone_is_told() -> None:
    scan = scanned(a_sh=SAFE)
    Path("a.sh").unlink()
    assert list(fix(scan, unsafe=False, force=True)) == [
        "a.sh:1:42: not changed: the file cannot be read: No such file or directory"
    ]
