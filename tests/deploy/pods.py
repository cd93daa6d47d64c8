"""Runs the proxy as a pod of deploy/kubernetes does: its arguments, environment, configuration, volumes and ports."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.deploy.isolation import User, isolated
from tests.deploy.manifests import Manifests
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
    """

    pod: "Pod"
    process: "subprocess.Popen[bytes]"
    output: Path

    def on(self, port: str | int) -> Proxy:
        """What listens on a port of the container, given by its number or, as most manifests do it, by its name."""
        number = self.manifests.ports[port] if isinstance(port, str) else port
        return Proxy("127.0.0.1", self.pod.here[number], self.output)

    @property
    def manifests(self) -> Manifests:
        """Those of the pod."""
        return self.pod.manifests

    def run(self, *arguments: str, given: str = "") -> "subprocess.CompletedProcess[str]":
        """Run a command of the proxy in it, as ``kubectl exec`` does, with something on standard input."""
        command = [*self.pod.runtime.command, *arguments]
        where = {"env": self.pod.all_environment(), "cwd": self.pod.folder / "config"}
        return subprocess.run(command, input=given, check=False, capture_output=True, text=True, timeout=60, **where)  # type: ignore[call-overload,no-any-return]

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
        """The records in its log, which may be its output, among what it says to the operator."""
        log = self.output if self.pod.log == "-" else Path(self.pod.log)
        lines = [line for line in log.read_text().splitlines() if line.startswith("{")]
        return [event for line in lines if (event := json.loads(line))["event"] == "deprecated_call"]


class Runtime(NamedTuple):
    """What starts containers: a command, before the container's arguments, and where that sees the pod's folder."""

    command: list[str]
    folder: str


def unconfined(folder: Path) -> Runtime:
    """Starts them as this user, on this machine."""
    return Runtime([sys.executable, "-m", "proxy"], str(folder))


OF_THE_IMAGE = User(65532, 65532, 65532)
OF_OPENSHIFT = User(1000650000, 0, 1000650000)
"""One that OpenShift might choose for a namespace: each has a range of its own."""


def confined(manifests: Manifests, folder: Path, memory: Path, who: User = OF_THE_IMAGE) -> Runtime:
    """Starts them as some user, without any capability, where nothing can be written but in memory.

    Args:
        manifests: say where the volumes are.
        folder: of the pod.
        memory: the volume in memory.
        who: the user.
    """
    return Runtime(isolated(who, {folder: "/media", memory: manifests.volume("journal")[1]}), "/media")


@dataclass
class Pod:
    """A pod, whose containers follow one another.

    Attributes:
        folder: has the output, and in folders of their names the volumes, but for the one in memory.
        environment: is laid over that of the manifests.
        ledger: its address, where that comes from a Secret.
    """

    manifests: Manifests
    folder: Path
    environment: dict[str, str]
    ledger: str = ""
    runtime: Runtime = field(init=False)
    here: dict[int, int] = field(init=False)

    def __post_init__(self) -> None:
        self.runtime = unconfined(self.folder)
        for name in self._mounts():
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.here = {number: free_port() for number in self.manifests.ports.values()}
        values = yaml.safe_load(self.manifests.config)
        for key in ("listen", "admin"):  # on loopback alone, and on ports that nobody has
            number = int(values[key].rpartition(":")[2])
            self.environment[f"TRIGGER_SHIM__{key.upper()}"] = f"127.0.0.1:{self.here[number]}"

    def all_environment(self) -> dict[str, str]:
        """What its containers are given."""
        given = {name: self.seen(value) for name, value in self.manifests.environment().items()}
        return {**os.environ, **given, **self.environment}

    @property
    def log(self) -> str:
        """Where its containers write the caller log, on this machine."""
        log: str = yaml.safe_load(self.manifests.config)["callers"]["log"]
        for name, path in self._mounts().items():
            log = log.replace(path, f"{self.folder}/{name}")
        return log

    def seen(self, text: str) -> str:
        """A text with the paths of volumes, as its containers see them here."""
        for name, path in self._mounts().items():
            text = text.replace(path, f"{self.runtime.folder}/{name}")
        return text

    @contextlib.contextmanager
    def container(self) -> Iterator[Container]:
        """Run a container, which has started, until the block ends."""
        (self.folder / "config" / "config.yaml").write_text(self.seen(self.manifests.config))
        if self.ledger:
            (self.folder / "ledger" / "ledger").write_text(f"{self.ledger}\n")
        arguments = map(self.seen, self.manifests.container["args"])
        output = self.folder / "output"
        with output.open("ab") as out:
            command = [*self.runtime.command, *arguments]
            process = subprocess.Popen(command, stdout=out, stderr=out, env=self.all_environment(), cwd="/")
        running = Container(self, process, output)
        try:
            until(running.has_started)
            assert process.poll() is None, output.read_text()
            yield running
        finally:
            process.kill()
            process.wait()

    def remove(self) -> None:
        """Remove what its containers have left in memory."""
        forget_journals(self.log, self.environment["TRIGGER_SHIM__LISTEN"])

    def _mounts(self) -> dict[str, str]:
        """Where each volume is mounted, but for the one in memory."""
        names = [volume["name"] for volume in self.manifests.pod["volumes"] if "emptyDir" not in volume]
        return {name: self.manifests.volume(name)[1] for name in names}


@contextlib.contextmanager
def serving(
    manifests: Manifests, folder: Path, upstream: str, ledger: str = "", **environment: str
) -> Iterator[Container]:
    """The container of a pod that forwards to an upstream on this machine."""
    pod = Pod(manifests, folder, {"TRIGGER_SHIM__UPSTREAM__URL": upstream, **environment}, ledger)
    try:
        with pod.container() as running:
            yield running
    finally:
        pod.remove()
