"""What the suite itself promises: a test that hangs fails, and what is missing is said in a line."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT

HANGS = """
import threading
def test_hangs():
    threading.Event().wait()
def test_goes_on():
    pass
"""

LACKS = """
import pytest
from tests.support.programs import lack
@pytest.mark.parametrize("number", range(2))
def test_lacks(number):
    lack("nginx is not installed", "apt-get install nginx-light")
"""

REACHES_OUT = """
import asyncio, multiprocessing, socket, subprocess
def test_listens():
    socket.create_server(("127.0.0.1", 0))
def test_listens_to_a_file(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
def test_runs_a_program():
    subprocess.run(["true"])
def test_starts_a_process():
    multiprocessing.get_context("spawn").Process(target=print).start()
def test_has_a_loop():
    asyncio.run(asyncio.sleep(0))
"""


def said(folder: Path, content: str, *options: str) -> list[str]:
    """The last lines that pytest has to say of a file."""
    file = folder / "test_file.py"
    file.write_text(content)
    command = [sys.executable, "-m", "pytest", "--config-file=pyproject.toml", "--rootdir=.", "-p", "tests.conftest"]
    environment = {**os.environ, "CI": "false"}
    command += ["-p", "no:cacheprovider", *options, str(file)]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)
    return ran.stdout.splitlines()


def test_a_test_that_hangs_fails_by_its_name_and_the_next_one_runs(tmp_path: Path) -> None:
    *_, name, counts = said(tmp_path, HANGS, "--override-ini=timeout=1")
    assert "::test_hangs - Failed: Timeout" in name
    assert counts.startswith("1 failed, 1 passed in")


def test_what_is_missing_is_said_once_with_the_command_that_brings_it(tmp_path: Path) -> None:
    *_, missing, counts = said(tmp_path, LACKS)
    assert missing == "skipped 2 tests: nginx is not installed (apt-get install nginx-light)"
    assert counts.startswith("2 skipped in")


def test_a_quick_run_leaves_out_what_goes_beyond_the_process(tmp_path: Path) -> None:
    *_, missing, counts = said(tmp_path, REACHES_OUT, "--quick")
    assert missing == "skipped 4 tests: they use sockets or other programs (make test)"
    assert counts.startswith("1 passed, 4 skipped in")
