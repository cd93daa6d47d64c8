"""A proxy that is restarted, upgraded and reloaded by whoever runs it."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import yaml

from proxy import __version__
from tests.operations import later
from tests.support.certificates import CA, certified
from tests.support.paths import ROOT
from tests.support.proxy import Proxy
from tests.support.serving import command

_PASSED = 'exec 3<&"$1"; eval "exec $1<&-"; shift; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"'
_LONGEST = 60.0


class Served:
    """A proxy with a certificate, on a port that stays the same.

    Args:
        url: of the service.
        folder: for its files.
        keeps_socket: whether a service manager keeps the listening socket; otherwise a new process shares the port with
            the one that it replaces.
        workers: how many it has.

    Attributes:
        starts: how many processes were started.
        process: the one that serves.
        ledger: the path of its ledger.
    """

    def __init__(self, url: str, folder: Path, *, keeps_socket: bool, workers: int) -> None:
        self.starts = 0
        self._folder = folder
        self._files, self.trust = certified(folder)
        self._kept = socket.create_server(("127.0.0.1", 0), backlog=4096, reuse_port=not keeps_socket)
        self.port = self._kept.getsockname()[1]
        self.proxy = Proxy("127.0.0.1", self.port, folder / "callers.jsonl")
        self._keeps_socket = keeps_socket
        self.ledger = str(folder / "callers.db")
        self._version, self._sources = __version__, ROOT
        self._command = command(
            url,
            folder,
            listen=f"127.0.0.1:{self.port}",
            tls=self._files,
            workers=workers,
            ledger=self.ledger,
        )
        self._config = folder / "config.yaml"
        self.process: asyncio.subprocess.Process | None = None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve until the end of the block."""
        await self.start()
        if not self._keeps_socket:
            self._kept.close()  # it only kept the port until now
        try:
            yield
        finally:
            assert self.process is not None
            await self._stop(self.process)
            self._kept.close()

    async def restart(self) -> None:
        """Start another process in place of this one."""
        assert self.process is not None
        if self._keeps_socket:
            await self._stop(self.process)
            await self.start()
        else:
            before = self.process
            await self.start()
            await self._stop(before)

    async def reload(self) -> None:
        """Change the policy, and have it read."""
        config: dict[str, Any] = yaml.safe_load(self._config.read_text())
        if config.pop("lifecycle", None) is None:
            config["lifecycle"] = {"deprecated": "2020-01-01"}
        self._config.write_text(yaml.safe_dump(config))
        await self._reload()

    async def upgrade(self) -> None:
        """Start a later version in place of this one, with a configuration that this one does not know."""
        if not (sources := self._folder / "later").exists():
            later.write(sources)
        self._version, self._sources = later.VERSION, sources
        self._config.write_text(f"{self._config.read_text()}{later.KEY}: 2\n")
        await self.restart()

    async def roll_back(self) -> None:
        """Start this version again, with a configuration that it knows."""
        self._version, self._sources = __version__, ROOT
        self._config.write_text(self._config.read_text().replace(f"{later.KEY}: 2\n", ""))
        await self.restart()

    async def renew(self) -> None:
        """Renew the certificate, and have it read."""
        leaf = CA.issue_cert("127.0.0.1")
        leaf.cert_chain_pems[0].write_to_path(self._files["certificate"])
        leaf.private_key_pem.write_to_path(self._files["key"])
        await self._reload()

    async def _reload(self) -> None:
        reload = [sys.executable, "-m", "proxy", "reload", "--config", str(self._config)]
        process = await asyncio.create_subprocess_exec(*reload, cwd=self._sources, stdout=asyncio.subprocess.DEVNULL)
        assert await process.wait() == 0

    async def start(self) -> None:
        """Start a process, and return when it serves."""
        self.starts += 1
        events = self._folder / f"events-{self.starts}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, events.open("wb") as stderr:
            address = self._folder / f"notify-{self.starts}"
            manager.bind(str(address))
            manager.setblocking(False)
            command, number = self._command, self._kept.fileno()
            if self._keeps_socket:
                command = ["bash", "-c", _PASSED, "bash", str(number), *command]
            else:
                command = [*command, "--reuse-port"]
            self.process = await asyncio.create_subprocess_exec(
                *command,
                pass_fds=(number,) if self._keeps_socket else (),
                env={**os.environ, "NOTIFY_SOCKET": str(address)},
                cwd=self._sources,
                stderr=stderr,
            )
            said = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(manager, 4096), _LONGEST)
            assert said == b"READY=1"
        assert f'"version":"{self._version}"' in events.read_text()

    async def _stop(self, process: asyncio.subprocess.Process) -> None:
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), _LONGEST) == 0
