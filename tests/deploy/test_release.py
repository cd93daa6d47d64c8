import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy import __version__
from tests.deploy.sources import copy_sources
from tests.support.programs import program

HEADING = re.compile(r"^## .*$", re.MULTILINE)


# Instead of building packages, it notes the version that they would have.
NOTES = f"""#!/bin/sh
case "$1 $2" in
  "-m build") sed -n 's/^__version__ = "\\(.*\\)"$/\\1/p' "$6/proxy/__init__.py" >"$5" ;;
  "-m twine") ;;
  *) exec {sys.executable} "$@" ;;
esac
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copy_sources(tmp_path_factory.mktemp("clone") / "sources", without="tests")
    changelog = folder / "CHANGELOG.md"
    changelog.write_text(HEADING.sub(f"## {__version__} (2026-11-28)", changelog.read_text(), count=1))
    git(folder, "init", "--quiet")
    commit(folder)
    git(folder, "branch", "ready")
    return folder


@pytest.fixture
def repository(clone: Path) -> Iterator[Path]:
    """A clone whose commit could be released."""
    yield clone
    git(clone, "reset", "--quiet", "--hard", "ready")
    for tag in git(clone, "tag").split():
        git(clone, "tag", "--delete", tag)


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=tester", "-c", "user.email=tester@example.org"]
    ran = subprocess.run(
        [program("git"), *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return ran.stdout.strip()


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "A change")


def run(folder: Path, script: str, *arguments: str, python: str = sys.executable) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHON": python, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [str(folder / ".ci" / script), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_package_of_what_is_not_committed_says_so_in_its_version(repository: Path, tmp_path: Path) -> None:
    git(repository, "tag", f"v{__version__}")
    (repository / "proxy" / "errors.py").write_text("# other\n")
    ran = run(repository, "package", str(tmp_path))
    assert ran.returncode == 0, ran.stderr
    assert len(list(tmp_path.glob("*.tar.gz"))) == 1
    [wheel] = tmp_path.glob("*.whl")
    assert wheel.name.split("-")[1] == f"{__version__}+g{git(repository, 'rev-parse', 'HEAD')[:8]}.dirty"


def test_the_version_of_a_package_changes_with_the_code(repository: Path, tmp_path: Path) -> None:
    git(repository, "tag", f"v{__version__}")
    assert noted(repository, tmp_path) == __version__

    (repository / "proxy" / "errors.py").write_text("# other\n")
    commit(repository)
    assert noted(repository, tmp_path) == f"{__version__}+g{git(repository, 'rev-parse', 'HEAD')[:8]}"
    assert git(repository, "status", "--porcelain") == ""


def noted(repository: Path, folder: Path) -> str:
    """The version that packages would have."""
    (notes := folder / "python").write_text(NOTES)
    notes.chmod(0o755)
    ran = run(repository, "package", str(folder / "version"), python=str(notes))
    assert ran.returncode == 0, ran.stderr
    return (folder / "version").read_text().strip()


def refusal(folder: Path) -> str:
    ran = run(folder, "release")
    assert ran.returncode == 1
    return ran.stderr


def test_what_is_not_committed_is_not_released(repository: Path) -> None:
    (repository / "README.md").write_text("other\n")
    assert refusal(repository) == "not ready for a release: there are changes that are not committed\n"


@pytest.mark.parametrize(
    "heading", ["## Unreleased", f"## {__version__}", f"## {__version__} (soon)", "## 0.0.1 (2020-01-01)"]
)
def test_a_version_without_its_part_of_the_changelog_is_not_released(repository: Path, heading: str) -> None:
    changelog = repository / "CHANGELOG.md"
    changelog.write_text(HEADING.sub(heading, changelog.read_text(), count=1))
    commit(repository)
    said = refusal(repository)
    assert said.startswith(
        f"not ready for a release: CHANGELOG.md begins with '{heading}': write '## {__version__} (20"
    )


def test_other_code_needs_a_new_version(repository: Path) -> None:
    git(repository, "tag", f"v{__version__}")
    (repository / "proxy" / "errors.py").write_text("# other\n")
    commit(repository)
    said = f"v{__version__} is another commit: write a new version into proxy/__init__.py\n"
    assert refusal(repository) == f"not ready for a release: {said}"


def test_a_version_is_three_numbers(repository: Path) -> None:
    (repository / "proxy" / "__init__.py").write_text('__version__ = "0.3.0.dev1"\n')
    commit(repository)
    said = "the version in proxy/__init__.py is 0.3.0.dev1, and must be X.Y.Z\n"
    assert refusal(repository) == f"not ready for a release: {said}"
