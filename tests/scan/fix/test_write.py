"""Files are replaced whole, or not at all."""

import os
from pathlib import Path

import pytest

from proxy.scan.fix.write import NotWritten, replace


@pytest.mark.parametrize("mode", [0o600, 0o755, 0o444])
def test_the_mode_stays_and_nothing_is_left_beside(mode: int, tmp_path: Path) -> None:
    file = tmp_path / "a b.sh"
    file.write_bytes(b"a")
    file.chmod(mode)
    before = file.stat().st_ino
    replace(str(file), b"a", b"b")
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"b", mode)
    assert file.stat().st_ino != before, "written in place, a reader could see half of it"
    assert [one.name for one in tmp_path.iterdir()] == ["a b.sh"]


def test_a_file_that_has_changed_since_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"c")
    with pytest.raises(NotWritten, match="has changed since"):
        replace(str(file), b"a", b"b")
    assert file.read_bytes() == b"c"


def test_links_are_not_followed_and_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"a")
    (tmp_path / "soft").symlink_to("a")
    with pytest.raises(NotWritten, match="is a link"):
        replace(str(tmp_path / "soft"), b"a", b"b")
    (tmp_path / "hard").hardlink_to(file)
    with pytest.raises(NotWritten, match="hard link"):
        replace(str(file), b"a", b"b")
    assert file.read_bytes() == b"a"


def test_a_failure_leaves_the_file_and_nothing_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"a")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fchmod", fail)
    with pytest.raises(NotWritten, match="cannot be written: No space left on device"):
        replace(str(file), b"a", b"b")
    assert ([one.name for one in tmp_path.iterdir()], file.read_bytes()) == (["a"], b"a")


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotWritten, match="No such file"):
        replace(str(tmp_path / "a"), b"a", b"b")
