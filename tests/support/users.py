"""Runs a test's block as another user."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def unprivileged() -> Iterator[None]:
    """As somebody whom the modes of files hold, which they do not root."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def open_to_all(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder that is open to every user; by its whole path nobody else can reach it."""
    folder.chmod(0o777)
    monkeypatch.chdir(folder)
