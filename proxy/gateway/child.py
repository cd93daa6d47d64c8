"""How to start a module of this program in a process of its own."""

import os
import sys
from collections.abc import Mapping


def command(module: str, *arguments: str) -> list[str]:
    """Return the command line that runs a module of this program."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for it: ours, such that it finds the same modules, plus `more`."""
    path = os.pathsep.join(folder for folder in sys.path if folder)
    return {**os.environ, "PYTHONPATH": path, **(more or {})}
