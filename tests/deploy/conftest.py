"""What several tests look at."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.running import run
from tests.deploy.engine import Engine
from tests.deploy.vector import Vector
from tests.support.ledgers import server
from tests.support.paths import ROOT
from tests.system.conftest import month

__all__ = ["month", "run", "server"]


@pytest.fixture(scope="session")
def vector() -> Vector:
    return Vector()


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """One that has the image, built of the sources as they are, among which secrets lie."""
    with tempfile.TemporaryDirectory() as folder:
        made = Engine(Path(folder))
        (sources := Path(folder) / "sources").mkdir()
        for name in ("proxy", "deploy", "pyproject.toml", "README.md", "LICENSE"):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, sources / name)
        for place in (".env", "proxy/secret.env", "deploy/container/.env", "deploy/container/trigger-shim/key.pem"):
            (sources / place).write_text("secret-of-the-test")
        made.build(sources)
        yield made
        made.close()
