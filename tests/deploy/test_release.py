import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from proxy import __version__
from tests.deploy.sources import copy_sources
from tests.support.programs import program

HEADING = re.compile(r"^## .*$", re.MULTILINE)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A clone whose commit could be released."""
    folder = copy_sources(tmp_path / "sources")
    changelog = folder / "CHANGELOG.md"
    changelog.write_text(HEADING.sub(f"## {__version__} (2026-11-28)", changelog.read_text(), count=1))
    git(folder, "init", "--quiet")
    commit(folder)
    return folder


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=tester", "-c", "user.email=tester@example.org"]
    ran = subprocess.run(
        [program("git"), *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return ran.stdout.strip()


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "A change")


def run(folder: Path, script: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [str(folder / ".ci" / script), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def built(folder: Path) -> str:
    """Build the packages, and return their version."""
    dist = folder.parent / "dist"
    for file in dist.glob("*"):
        file.unlink()
    ran = run(folder, "package", str(dist))
    assert ran.returncode == 0, ran.stderr
    [wheel], [_] = dist.glob("*.whl"), dist.glob("*.tar.gz")
    return wheel.name.split("-")[1]


def test_the_version_of_a_package_changes_with_the_code(repository: Path) -> None:
    git(repository, "tag", f"v{__version__}")
    assert built(repository) == __version__

    (repository / "proxy" / "errors.py").write_text("# other\n")
    released = git(repository, "rev-parse", "HEAD")
    assert built(repository) == f"{__version__}+g{released[:8]}.dirty"
    commit(repository)
    assert built(repository) == f"{__version__}+g{git(repository, 'rev-parse', 'HEAD')[:8]}"
    assert git(repository, "status", "--porcelain") == ""


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
