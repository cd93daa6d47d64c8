"""Patches, as git itself takes them."""

from pathlib import Path

import pytest

from proxy.scan.fix.patch import patch
from tests.scan.repositories import run_git

NAMES = ["a", "a b", 'quo"te', "back\\slash", "żółw/ż", "new\nline", "tab\there", "x/y z/a\x7f", "-a", "a/b"]
CONTENTS = [
    (b"a\nb\nc\n", b"a\nx\nc\n"),
    (b"a\r\nb\r\n", b"a\r\nx\r\n"),
    (b"a", b"b"),
    (b"a\nb", b"a\nx"),
    (b"a\n", b"a"),
    (b"a\x0cb\x85c\xff\n\x1cd\n", b"a\x0cb\x85c\xff\n\x1ce\n"),
    (b"\n".join(b"%d" % number for number in range(99)), b"\n".join(b"%d" % (number or 7) for number in range(99))),
]


def applied(top: Path, content: bytes, *arguments: str) -> None:
    (top / "the.patch").write_bytes(content)
    run_git(top, "apply", *arguments, str(top / "the.patch"))
    (top / "the.patch").unlink()


@pytest.mark.parametrize("name", NAMES)
def test_git_applies_a_patch_to_a_file_of_any_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"a\n")
    applied(tmp_path, patch(name, b"a\n", b"b\n"))
    assert file.read_bytes() == b"b\n"


@pytest.mark.parametrize(("old", "new"), CONTENTS)
def test_git_applies_a_patch_to_any_content(
    old: bytes, new: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_git(tmp_path, "init", "-q")
    (tmp_path / "a").write_bytes(old)
    applied(tmp_path, patch("a", old, new))
    assert (tmp_path / "a").read_bytes() == new


def test_in_a_repository_names_are_those_from_its_top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_git(tmp_path, "init", "-q")
    for folder in ("sub/sub", "other"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "a").write_bytes(b"a\n")
    monkeypatch.chdir(tmp_path / "sub")
    assert patch("../other/a", b"a\n", b"b\n").startswith(b"diff --git a/other/a b/other/a\n")
    (tmp_path / "the.patch").write_bytes(patch("sub/a", b"a\n", b"b\n"))
    run_git(tmp_path / "sub", "apply", str(tmp_path / "the.patch"))
    assert (tmp_path / "sub/sub/a").read_bytes() == b"b\n"


def test_several_patches_and_comments_before_each_are_one_patch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        (tmp_path / name).write_bytes(b"a")
    applied(tmp_path, b"# --- a\n" + patch("a", b"a", b"b") + b"# @@ -1 +1 @@\n" + patch("b", b"a", b"b") + b"# end\n")
    assert [(tmp_path / name).read_bytes() for name in "ab"] == [b"b", b"b"]


def test_what_stays_the_same_has_no_patch() -> None:
    assert patch("a", b"a", b"a") == b""
