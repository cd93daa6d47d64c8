import email
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.message import Message
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from proxy import __version__
from tests.deploy.sources import SOURCES, copy_sources
from tests.support.paths import ROOT


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is to be handed out, made of the sources as they are, without a network."""
    folder = tmp_path_factory.mktemp("package")
    sources = copy_sources(folder / "sources")
    (sources / "proxy" / "notes.txt.orig").touch()
    (sources / "secrets.env").touch()
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder / "dist"), str(sources)]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "dist"


@pytest.fixture(scope="module")
def wheel(packages: Path) -> zipfile.ZipFile:
    [file] = packages.glob("*.whl")
    return zipfile.ZipFile(file)


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    return email.message_from_bytes(wheel.read(f"trigger_shim-{__version__}.dist-info/METADATA"))


def test_an_index_takes_the_packages(packages: Path) -> None:
    files = sorted(map(str, packages.iterdir()))
    assert len(files) == 2
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *files], check=True, capture_output=True)


def test_the_wheel_holds_the_program_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    kinds = ("*.py", "*.css", "*.jinja", "*.js", "py.typed")
    assert held == {str(file.relative_to(ROOT)) for kind in kinds for file in (ROOT / "proxy").rglob(kind)}
    assert held >= {"proxy/py.typed", "proxy/callers/render/page.html.jinja"}


def test_the_source_package_holds_what_was_meant_for_it(packages: Path) -> None:
    [file] = packages.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        held = {name.split("/")[1] for name in archive.getnames()}
    assert held == {*SOURCES, "PKG-INFO"}


def test_the_metadata_say_what_it_is_and_what_it_needs(metadata: Message) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (metadata["Name"], metadata["Version"]) == ("trigger-shim", __version__)
    assert metadata["License-Expression"] == "MIT"
    assert metadata["License-File"] == "LICENSE"
    assert metadata["Requires-Python"] == ">=3.11"
    assert str(metadata.get_payload()).startswith("# trigger-shim\n")
    assert set(needed(metadata)) == set(map(Requirement, project["dependencies"]))
    assert metadata.get_all("Provides-Extra") == sorted(project["optional-dependencies"])
    assert all(">=" in requirement for requirement in metadata.get_all("Requires-Dist", []))


def needed(metadata: Message) -> list[Requirement]:
    """What is needed without extras."""
    found = map(Requirement, metadata.get_all("Requires-Dist", []))
    return [requirement for requirement in found if "extra ==" not in str(requirement.marker)]


def needed_for(extra: str, metadata: Message) -> list[Requirement]:
    """What is needed for an extra besides."""
    found = map(Requirement, metadata.get_all("Requires-Dist", []))
    return [requirement for requirement in found if f'extra == "{extra}"' in str(requirement.marker)]


def test_the_lock_names_every_dependency_with_its_hashes(metadata: Message) -> None:
    lock = (ROOT / "deploy" / "requirements.txt").read_text()
    locked = dict(re.findall(r"^([\w.-]+)==\S+(?: ; .*?)? (\\\n    --hash=sha256:)", lock, re.MULTILINE))
    assert len(locked) == len(re.findall(r"^\S+==", lock, re.MULTILINE))
    # The image is installed from it, and has what the ledger of a fleet needs.
    wanted = [*needed(metadata), *needed_for("postgresql", metadata)]
    assert locked.keys() >= {requirement.name for requirement in wanted} >= {"psycopg"}


def test_the_pythons_that_the_metadata_name_are_those_that_are_tried(metadata: Message) -> None:
    named = [line.rpartition(":: ")[2] for line in metadata.get_all("Classifier", []) if "Python :: 3." in line]
    tried = (ROOT / ".ci" / "pythons").read_text()
    assert f"versions=({' '.join(named)})" in tried


def test_all_that_names_an_image_names_this_version() -> None:
    files = [file for file in (ROOT / "deploy").rglob("*") if file.is_file() and file.suffix not in {".json", ".txt"}]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    named = re.findall(r"(?:trigger-shim:|newTag: |ARG VERSION=)(\d[\w.+-]*)", text)
    assert len(named) >= 7
    assert set(named) == {__version__}
