"""What is in deploy/kubernetes: the objects of each overlay, and what the README tells to do with them."""

import functools
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml

from proxy import config
from tests.deploy.tools import DEPLOY
from tests.support.programs import program

FOLDER = DEPLOY / "kubernetes"
OVERLAYS = ("single", "fleet")
README = (FOLDER / "README.md").read_text(encoding="utf-8")
SECRET = "0123456789abcdef-of-the-test"

Object = dict[str, Any]

_UNITS = {"": 1.0, "m": 1e-3, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30}


def quantity(text: str) -> float:
    """What Kubernetes writes with a unit: cores or bytes."""
    found = re.fullmatch(r"([\d.]+)(\w*)", text)
    assert found is not None
    return float(found[1]) * _UNITS[found[2]]


class Manifests:
    """The objects that ``kubectl apply -k`` would send, and of the Deployment what matters most.

    Args:
        folder: has the kustomization.

    Attributes:
        overlay: the folder's name.
        template: of the pods.
        pod: its specification.
        container: the only one.
        ports: of the container, by their names.
        config: the text of config.yaml.
    """

    def __init__(self, folder: Path) -> None:
        self.overlay = folder.name
        self.all: list[Object] = list(yaml.safe_load_all(_kustomized(folder)))
        self.template: Object = self.spec("Deployment")["template"]
        self.pod: Object = self.template["spec"]
        [self.container] = self.pod["containers"]
        self.ports: dict[str, int] = {port["name"]: port["containerPort"] for port in self.container["ports"]}
        self.config: str = self.one("ConfigMap")["data"]["config.yaml"]

    def one(self, kind: str, name: str | None = None) -> Object:
        """The only object of a kind, or of that and a name."""
        [found] = [each for each in self.of(kind) if name in {None, each["metadata"]["name"]}]
        return found

    def of(self, kind: str) -> list[Object]:
        """All objects of a kind."""
        return [each for each in self.all if each["kind"] == kind]

    def spec(self, kind: str, name: str | None = None) -> Object:
        """What it says."""
        return dict(self.one(kind, name)["spec"])

    def volume(self, name: str) -> tuple[Object, str]:
        """A volume, and where it is mounted."""
        [volume] = [each for each in self.pod["volumes"] if each["name"] == name]
        [mount] = [each for each in self.container["volumeMounts"] if each["name"] == name]
        return volume, mount["mountPath"]

    def environment(self) -> dict[str, str]:
        """What the container is given."""
        return {each["name"]: each.get("value", SECRET) for each in self.container["env"]}

    def settings(self, folder: Path) -> config.Config:
        """The configuration, as the proxy reads it where there are no Secrets; a folder takes the file."""
        (folder / "config.yaml").write_text(self.config)
        return config.load(str(folder / "config.yaml"), {})


def _kustomized(folder: Path) -> str:
    """What kubectl makes of a folder."""
    if _kubectl_minor() >= 21:
        return _kustomize(folder)
    with tempfile.TemporaryDirectory() as copy:  # as Debian 12 has it: it knows neither of the two keys
        shutil.copytree(folder.parent, copy, dirs_exist_ok=True)
        for file in Path(copy).rglob("kustomization.yaml"):
            values = yaml.safe_load(file.read_text())
            folders = [name for name in values["resources"] if not name.endswith(".yaml")]
            values["resources"] = [name for name in values["resources"] if name not in folders]
            patches = [each.get("path") or _file(file.parent, each["patch"]) for each in values.pop("patches", [])]
            values |= {"bases": folders, "patchesStrategicMerge": patches}
            file.write_text(yaml.safe_dump(values))
        return _kustomize(Path(copy) / folder.name)


def _file(folder: Path, patch: str) -> str:
    """The name of a new file with a patch."""
    file = folder / "patch.yaml"
    file.write_text(patch)
    return file.name


def _kustomize(folder: Path) -> str:
    command = [program("kubectl"), "kustomize", str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")  # it may say that something is deprecated
    return done.stdout


@functools.cache
def _kubectl_minor() -> int:
    command = [program("kubectl"), "version", "--client", "--output=json"]
    return int(json.loads(subprocess.check_output(command))["clientVersion"]["minor"].rstrip("+"))


def monitor() -> Object:
    """The PodMonitor, which is not among them."""
    return dict(yaml.safe_load((FOLDER / "podmonitor.yaml").read_text()))


def blocks(language: str) -> list[str]:
    """The README's blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands(beginning: str) -> list[str]:
    """The commands in its blocks that begin so."""
    lines = "".join(blocks("sh")).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith(beginning)]
