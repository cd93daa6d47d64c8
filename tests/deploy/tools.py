"""Finds the files of deploy/ and the programs that read them."""

from pathlib import Path

from tests.support.paths import ROOT

DEPLOY = ROOT / "deploy"


def adapted(file: Path, changes: dict[str, str]) -> str:
    """A file's text for this machine; each text that is to be changed must be there."""
    text = file.read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text
