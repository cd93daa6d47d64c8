"""Git for the tests, without anybody's own settings."""

import shutil
import subprocess
from pathlib import Path

import pytest

ENVIRONMENT = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}


def run_git(folder: Path, *arguments: str) -> str:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), **ENVIRONMENT}
    command = ["git", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout
