"""What the suite itself promises: where tests are, that one that hangs fails, and that what is missing is said once."""

import functools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import LONG
from tests.support.paths import ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")

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

TESTS = """
import asyncio, multiprocessing, socket, subprocess, threading
import pytest
from tests.support.programs import lack
def test_hangs():
    threading.Event().wait()
def test_goes_on():
    pass
@pytest.mark.parametrize("number", range(2))
def test_lacks(number):
    lack("nginx is not installed", "apt-get install nginx-light")
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
    assert {str(file): found for file in files if (found := imported_by(file) - {file.stem})} == {}


def imported_by(file: Path) -> set[str]:
    """The files of tests from which a file imports names."""
    return set(re.findall(r"^\s*from \S*\b(test_\w+) import ", file.read_text(encoding="utf-8"), re.MULTILINE))


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The last lines that pytest has to say of tests in a quick run, where one may take three seconds."""
    file = tmp_path_factory.mktemp("tests") / "test_file.py"
    file.write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "--config-file=pyproject.toml", "--rootdir=.", "-p", "tests.conftest"]
    command += ["-p", "no:cacheprovider", "--quick", "--override-ini=timeout=3", str(file)]
    environment = {**os.environ, "CI": "false"}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)
    return ran.stdout.splitlines()


def test_a_test_that_hangs_fails_by_its_name_and_the_next_one_runs(said: list[str]) -> None:
    assert "::test_hangs - Failed: Timeout" in said[-2]
    assert said[-1].startswith("1 failed, 2 passed, 6 skipped in")


def test_what_is_missing_is_said_once_with_the_command_that_brings_it(said: list[str]) -> None:
    assert said.count("skipped 2 tests: nginx is not installed (apt-get install nginx-light)") == 1


def test_a_quick_run_leaves_out_what_goes_beyond_the_process(said: list[str]) -> None:
    assert said.count("skipped 4 tests: they use sockets or other programs (make test)") == 1


def test_a_quick_run_has_each_test_once() -> None:
    patterns = re.findall(r"tests/\S+", " ".join(re.findall(r"^quick-\d: FOLDERS := (.*)$", MAKEFILE, re.MULTILINE)))
    taken = [path for pattern in patterns for path in ROOT.glob(pattern)]
    here = [path for path in (ROOT / "tests").iterdir() if path.is_dir() or path.match("test_*.py")]
    assert sorted(taken) == sorted(path for path in here if path.name != "__pycache__")


def test_each_place_of_long_tests_is_there() -> None:
    assert [place for place in LONG if place != "image" and not (ROOT / place).exists()] == []
