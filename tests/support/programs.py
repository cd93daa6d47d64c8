"""Finds the programs and files that tests need; each comes from a Debian package in ``.ci/tools``."""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

from tests.support.paths import ROOT


def packages() -> dict[str, str]:
    """The Debian package of each program and file that the tests use."""
    lines = (ROOT / ".ci" / "tools").read_text(encoding="utf-8").splitlines()
    return dict(line.split() for line in lines if not line.startswith("#"))


def lack(what: str, remedy: str) -> NoReturn:
    """Skip a test because something is missing, and name the command that installs it."""
    pytest.skip(f"{what} ({remedy})")


def program(name: str) -> str:
    """The path of a program or file. If it is not installed, the test is skipped."""
    folders = f"/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin:{os.environ.get('PATH', '')}"
    found = shutil.which(name, os.F_OK, path=folders)
    if found is None:
        lack(f"{Path(name).name} is not installed", f"apt-get install {packages()[name]}")
    return found
