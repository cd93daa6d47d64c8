"""Finds the files of deploy/ and the programs that read them."""

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def program(name: str, package: str) -> str:
    """The path of a program; a test that needs it is skipped where there is none."""
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin")
    if found is None:
        pytest.skip(f"{name} is not installed: apt-get install {package}")
    return found


def adapted(file: Path, changes: dict[str, str]) -> str:
    """A file's text for this machine; each text that is to be changed must be there."""
    text = file.read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text
