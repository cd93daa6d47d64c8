"""The files that packages are made of."""

import shutil
from pathlib import Path

from tests.support.paths import ROOT

SOURCES = [
    "proxy",
    "deploy",
    "tests",
    ".ci",
    "Makefile",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "config.yaml",
    "pyproject.toml",
]


def copy_sources(folder: Path, *, without: str = "") -> Path:
    """Copy the sources as they are, or but for one of them, into a new folder, and return it."""
    folder.mkdir()
    for name in SOURCES:
        if name == without:
            continue
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder)
    return folder
