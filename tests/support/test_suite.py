"""What the suite itself promises: where tests are, that one that hangs fails, and that what is missing is said once."""

import ast
import functools
import os
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT

OF_THEIR_OWN = {"bench", "clients", "contract", "deploy", "fleet", "fuzz", "operations", "soak", "support", "system"}
"""Folders of tests that mirror no folder of `proxy/`."""

WITHOUT_TESTS = {
    "calls/shell/draft.py": "a record that readers fill in",
    "commands/status.py": "an enum and an exception",
    "gateway/head.py": "a record without behaviour",
    "scan/finding.py": "records and an enum",
    "scan/shapes.py": "a table",
}
"""Modules without tests of their own, and why."""

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


@functools.cache
def modules() -> set[str]:
    """The paths of all modules in `proxy/`; that of `__main__.py` is `main.py`."""
    paths = (ROOT / "proxy").rglob("*.py")
    found = (path.relative_to(ROOT / "proxy") for path in paths if path.name != "__init__.py")
    return {str(path.with_stem(path.stem.strip("_"))) for path in found}


def files_of_tests() -> list[Path]:
    """Each file of tests in a folder that mirrors one of `proxy/`."""
    found = (path.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py"))
    return sorted(path for path in found if path.parts[0] not in OF_THEIR_OWN)


def module_of(file: Path) -> str:
    """The module that a file tests: `test_a_b.py` tests `a_b.py`, or an aspect of `a.py`."""
    words = file.stem.removeprefix("test_").split("_")
    names = ("_".join(words[:count]) for count in range(len(words), 0, -1))
    found = next((name for name in names if str(file.with_name(f"{name}.py")) in modules()), None)
    assert found, f"tests/{file}: no module of proxy/{file.parent} has this name"
    return str(file.with_name(f"{found}.py"))


def test_a_file_of_tests_is_named_after_its_module_and_each_module_has_one() -> None:
    assert {module_of(file) for file in files_of_tests()} | WITHOUT_TESTS.keys() == modules()
    assert WITHOUT_TESTS.keys().isdisjoint(map(module_of, files_of_tests()))


def test_no_module_imports_a_file_of_tests() -> None:
    files = [path for path in (ROOT / "tests").rglob("*.py") if "golden" not in path.parts]
    assert [str(file) for file in files if any(".test_" in name for name in imported_by(file))] == []


def imported_by(file: Path) -> list[str]:
    """The modules that a file imports names from, with a dot before each."""
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return [f".{node.module}" for node in nodes if isinstance(node, ast.ImportFrom)]


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
