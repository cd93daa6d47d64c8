"""Runs the proxy as a pod of deploy/kubernetes does: its arguments, its environment, its configuration, its ports."""

import contextlib
import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.deploy.manifests import Manifests
from tests.support.paths import ROOT
from tests.support.programs import program
from tests.support.proxy import Proxy
from tests.support.serving import forget_journals
from tests.support.sockets import free_port
from tests.support.waiting import until
from tests.support.wire import Answer


@dataclass
class Container:
    """A process that runs as the container would.

    Attributes:
        output: its standard output and standard error, as the kubelet keeps them.
        here: the port on this machine that stands for each of the container's.
    """

    manifests: Manifests
    process: "subprocess.Popen[bytes]"
    output: Path
    here: dict[int, int]

    def on(self, port: str | int) -> Proxy:
        """What listens on a port of the container, given by its number or, as most manifests do it, by its name."""
        number = self.manifests.ports[port] if isinstance(port, str) else port
        return Proxy("127.0.0.1", self.here[number], self.output)

    def probe(self, kind: str) -> Answer:
        """What the kubelet gets."""
        get = self.manifests.container[kind]["httpGet"]
        return self.on(get["port"]).call(get["path"], None, method="GET")

    def has_started(self) -> bool:
        """Whether it is up, as the kubelet sees it, or has ended."""
        with contextlib.suppress(ConnectionError):
            return self.probe("startupProbe").status == 200
        return self.process.poll() is not None

    def records(self) -> list[dict[str, Any]]:
        """The records in its output, among what it says to the operator."""
        lines = [line for line in self.output.read_text().splitlines() if line.startswith("{")]
        return [event for line in lines if (event := json.loads(line))["event"] == "deprecated_call"]


class Runtime(NamedTuple):
    """What starts containers: a command, before the container's arguments, and where that sees the configuration."""

    command: list[str]
    config: str


def unconfined(folder: Path) -> Runtime:
    """Starts them as this user, on this machine."""
    return Runtime([sys.executable, "-m", "proxy"], f"{folder}/config.yaml")


def confined(manifests: Manifests, folder: Path, memory: Path) -> Runtime:
    """Starts them as the pod's user, without any capability, where nothing can be written but in memory.

    Args:
        manifests: say who that user is, and where the volumes are.
        folder: of the pod.
        memory: the volume in memory.
    """
    who = manifests.pod["securityContext"]
    # Each is bound to where that user may go: the folder above it may be closed.
    bound = {
        sys.base_prefix: "/srv",
        str(ROOT): "/mnt",
        str(folder): "/media",
        str(memory): manifests.volume("journal")[1],
    }
    steps = [
        *(f"mount --rbind {there} {here}" for there, here in bound.items()),
        *(f"mount -t tmpfs -o ro none {shut}" for shut in ("/tmp", "/var/tmp")),  # noqa: S108
        "mount -o remount,bind,ro /",
        'exec "$@"',
    ]
    namespace = [program("unshare"), "--mount", "sh", "-c", " && ".join(steps), "sh"]
    user = [f"--reuid={who['runAsUser']}", f"--regid={who['runAsGroup']}", "--clear-groups"]
    user += ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
    libraries = f"/mnt/{Path(sysconfig.get_path('purelib')).relative_to(ROOT)}"
    interpreter = f"/srv/{Path(sys.executable).resolve().relative_to(sys.base_prefix)}"
    python = ["env", f"PYTHONPATH=/mnt:{libraries}", "LD_LIBRARY_PATH=/srv/lib", interpreter, "-P", "-m", "proxy"]
    return Runtime([*namespace, program("setpriv"), *user, *python], "/media/config.yaml")


@dataclass
class Pod:
    """A pod, whose containers follow one another.

    Attributes:
        folder: has the configuration and the output.
        environment: is laid over that of the manifests.
    """

    manifests: Manifests
    folder: Path
    environment: dict[str, str]
    runtime: Runtime | None = None
    here: dict[int, int] = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / "config.yaml").write_text(self.manifests.config)
        self.here = {number: free_port() for number in self.manifests.ports.values()}
        values = yaml.safe_load(self.manifests.config)
        for key in ("listen", "admin"):  # on loopback alone, and on ports that nobody has
            number = int(values[key].rpartition(":")[2])
            self.environment[f"TRIGGER_SHIM__{key.upper()}"] = f"127.0.0.1:{self.here[number]}"

    @contextlib.contextmanager
    def container(self) -> Iterator[Container]:
        """Run a container, which has started, until the block ends."""
        command, sees = self.runtime or unconfined(self.folder)
        _, mounted = self.manifests.volume("config")
        arguments = [each.replace(f"{mounted}/config.yaml", sees) for each in self.manifests.container["args"]]
        output = self.folder / "output"
        environment = {**os.environ, **self.manifests.environment(), **self.environment}
        with output.open("ab") as out:
            process = subprocess.Popen([*command, *arguments], stdout=out, stderr=out, env=environment, cwd="/")
        running = Container(self.manifests, process, output, self.here)
        try:
            until(running.has_started)
            assert process.poll() is None, output.read_text()
            yield running
        finally:
            process.kill()
            process.wait()

    def remove(self) -> None:
        """Remove what its containers have left in memory."""
        forget_journals("-", self.environment["TRIGGER_SHIM__LISTEN"])


@contextlib.contextmanager
def serving(manifests: Manifests, folder: Path, upstream: str, **environment: str) -> Iterator[Container]:
    """The container of a pod that forwards to an upstream on this machine."""
    pod = Pod(manifests, folder, {"TRIGGER_SHIM__UPSTREAM__URL": upstream, **environment})
    try:
        with pod.container() as running:
            yield running
    finally:
        pod.remove()
