"""A container engine for one test run: podman and buildah, with all that they keep in a folder of their own.

No registry is needed: what the Dockerfile begins with is made of Debian's packages, as the published images are.
"""

import contextlib
import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from proxy import __version__
from tests.deploy.tools import DEPLOY
from tests.support.programs import lack, program
from tests.support.waiting import until

FOLDER = DEPLOY / "container"
DOCKERFILE = FOLDER / "Dockerfile"
IMAGE = f"trigger-shim:{__version__}"
BIN = Path(sys.executable).parent
SUITE = "trixie"
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"


class Made(NamedTuple):
    """An image that is made of Debian's packages, as those in the registries are.

    Attributes:
        variant: what is there before the packages: nothing and they are only unpacked, or what apt needs.
        packages: names, with commas between them.
        hooks: commands of the shell, run once the packages are unpacked; ``$1`` is the folder of the image.
        changes: instructions of a Dockerfile.
    """

    variant: str
    packages: str
    hooks: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()


BASES = {
    "docker.io/library/debian:13-slim": Made("apt", "ca-certificates"),
    "gcr.io/distroless/python3-debian13:nonroot": Made(
        "extract",
        "base-files,ca-certificates,libgcc-s1,libgomp1,libpython3-stdlib,libstdc++6,"
        "media-types,netbase,python3-minimal,tzdata",
    ),
}
"""What the Dockerfile begins with."""

STORAGE = """
[storage]
driver = "overlay"
graphroot = "{folder}/images"
runroot = "{folder}/run"
"""

SETTINGS = """
[containers]
cgroups = "disabled"
log_driver = "k8s-file"
default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]
[engine]
cgroup_manager = "cgroupfs"
exit_command_delay = 1
lock_type = "file"
runtime = "crun"
tmp_dir = "{folder}/tmp"
"""

# crun refuses control groups of both versions side by side; it needs neither.
ONE_HIERARCHY = 'umount --quiet /sys/fs/cgroup/unified 2>/dev/null; exec "$@"'


class Engine:
    """Builds the image and runs it.

    Args:
        folder: where all of it is kept.

    Attributes:
        environment: in which podman finds it.
        podman: the program.
    """

    def __init__(self, folder: Path) -> None:
        if os.environ.get("CI") != "true":
            lack("images are made of packages that are fetched", "bash .ci/run")
        if os.geteuid() != 0:
            lack("images are built and run here by root alone", "sudo bash .ci/run")
        self.podman = program("podman")
        self._buildah = program("buildah")
        program("crun")
        self._mmdebstrap = program("mmdebstrap")
        self.folder = folder
        _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
        (folder / "storage.conf").write_text(STORAGE.format(folder=folder))
        settings = SETTINGS.format(folder=folder, files=files, processes=4096)
        (folder / "containers.conf").write_text(settings)
        self.environment = {
            **os.environ,
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
            "CONTAINERS_CONF": str(folder / "containers.conf"),
        }

    def build(self, sources: Path) -> None:
        """Build the real Dockerfile, on images that are made here."""
        for name, made in BASES.items():
            self.make(name, made)
        pip = self.folder / "pip.conf"
        pip.write_text(_settings_of_pip())
        arguments = [
            *("--isolation=chroot", "--network=host", "--format=docker", "--pull-never", f"--tag={IMAGE}"),
            f"--volume={pip}:/etc/pip.conf:ro",
            *(f"--build-arg={name}={name.lower()}-of-the-test" for name in ("SOURCE", "REVISION", "CREATED")),
            *(f"--ignorefile={DOCKERFILE}.dockerignore", f"--file={DOCKERFILE}", str(sources)),
        ]
        self._run(self._buildah, "bud", *arguments)

    def make(self, name: str, made: Made) -> None:
        """Make an image."""
        archive = self.folder / "image.tar"
        # Whoever stands between this machine and the package registries is trusted in the image, too.
        trust = f"--customize-hook=copy-in {AUTHORITIES} {Path(AUTHORITIES).parent}"
        options = [f"--variant={made.variant}", f"--include={made.packages}", "--quiet", "--mode=root"]
        options += ["--dpkgopt=force-unsafe-io", trust, *(f"--extract-hook={hook}" for hook in made.hooks)]
        self._run(self._mmdebstrap, *options, SUITE, str(archive), _mirror())
        self._run(self.podman, "import", *(f"--change={change}" for change in made.changes), str(archive), name)
        archive.unlink()

    def call(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run podman, however it ends."""
        command = ["unshare", "--mount", "sh", "-c", ONE_HIERARCHY, "sh", self.podman, *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)

    def _run(self, *command: str) -> None:
        ran = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]

    def close(self) -> None:
        """Wait until nothing runs any more that has its files in the folder."""
        until(lambda: not any(str(self.folder) in command for command in _running()))

    def image(self) -> Any:
        """What the engine knows of the image."""
        return json.loads(self.call("image", "inspect", IMAGE).stdout)[0]

    def once(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of the image to its end."""
        return self.call("run", "--rm", *RESTRICTED, *command)

    @contextlib.contextmanager
    def running(self, *options: str, **environment: str) -> Iterator["Container"]:
        """The image as it is meant to be run, with options and variables more."""
        variables = [f"--env={name}={value}" for name, value in environment.items()]
        begun = self.call("run", "--detach", *RESTRICTED, *options, *variables, IMAGE)
        assert begun.returncode == 0, begun.stderr
        container = Container(self, begun.stdout.strip())
        try:
            yield container
        finally:
            self.call("rm", "--force", "--volumes", container.name)


RESTRICTED = (
    *("--network=host", "--read-only", "--read-only-tmpfs=false", "--cap-drop=all"),
    "--security-opt=no-new-privileges",
)


class Container:
    """A container that runs."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self.name = name

    def exec(self, *command: str) -> "subprocess.CompletedProcess[str]":
        return self._engine.call("exec", self.name, *command)

    def check(self) -> int:
        """The exit status of the image's own health check."""
        return self._engine.call("healthcheck", "run", self.name).returncode

    def signal(self, name: str) -> None:
        self._engine.call("kill", f"--signal={name}", self.name)

    def stop(self) -> int:
        """Ask it to stop, as the image says that it is asked; the exit status."""
        self._engine.call("stop", "--time=60", self.name)
        return int(self.state()["ExitCode"])

    def state(self) -> Any:
        return json.loads(self._engine.call("inspect", self.name).stdout)[0]["State"]

    def process(self) -> int:
        """The process that is 1 inside."""
        return int(self.state()["Pid"])

    def said(self) -> tuple[str, str]:
        """What it has written to standard output and to standard error."""
        logs = self._engine.call("logs", self.name)
        return logs.stdout, logs.stderr


def _running() -> Iterator[str]:
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            yield file.read_bytes().replace(b"\0", b" ").decode(errors="replace")


def _mirror() -> str:
    """Where this machine gets Debian's packages."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return next(uri for uri in found if re.search(r"/debian/?$", uri))


def _settings_of_pip() -> str:
    """What this machine tells pip of the way to the registry, without what is on its own disk."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    wanted = re.findall(
        r"^(?:global|:env:|install)\.(index-url|trusted-host|proxy|default-timeout|retries)='(.*)'$",
        listed,
        re.MULTILINE,
    )
    return "".join(["[global]\n", *(f"{key} = {value}\n" for key, value in wanted)])
