"""The proxy under test, as a process of its own."""

import contextlib
import http.client
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from proxy.callers.log.journal import journal_prefix, memory_folder
from tests.support.processes import shown_lines
from tests.support.proxy import Proxy
from tests.support.waiting import until
from tests.support.wire import Answer


@dataclass
class Serving:
    """A process that runs ``trigger-shim serve`` on a terminal.

    Attributes:
        admin: the admin listener, if it has one.
        terminal: descriptor from which its output is read.
        announced: the lines that it printed at its start.
    """

    proxy: Proxy
    admin: Proxy
    process: "subprocess.Popen[bytes]"
    terminal: int
    announced: list[str]

    def call(self) -> "Calling":
        return Calling(self.proxy)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait_until_it_stops_listening(self) -> None:
        until(self._is_deaf)

    def exit_status(self) -> int:
        return self.process.wait(60)

    def _is_deaf(self) -> bool:
        try:
            self.proxy.connect().close()
        except ConnectionError:
            return True
        return False


class Calling(threading.Thread):
    """A call in progress."""

    def __init__(self, proxy: Proxy) -> None:
        super().__init__(daemon=True)
        self._proxy = proxy
        self._answer: Answer | None = None
        self.start()

    def run(self) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            self._answer = self._proxy.call()

    def answer(self) -> Answer | None:
        self.join(60)
        assert not self.is_alive()
        return self._answer


def command(url: str, folder: Path, program: str = "proxy", /, **sections: Any) -> list[str]:
    """Write a configuration, without a ledger, and return the command line that serves with it."""
    log = str(folder / "callers.jsonl")
    values = {"listen": "127.0.0.1:0", "admin": None, "callers": {"log": log}, "ledger": None, **sections}
    values["upstream"] = {**values.get("upstream", {}), "url": url}
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(values))
    return [sys.executable, "-m", program, "serve", "--config", str(file)]


@contextlib.contextmanager
def serving(
    url: str, folder: Path, program: str = "proxy", /, descriptors: str | None = None, **sections: Any
) -> Iterator[Serving]:
    """Run a proxy in another process. `descriptors` limits its open files, in the syntax of ``prlimit``."""
    terminal, theirs = pty.openpty()
    arguments = command(url, folder, program, **sections)
    if descriptors is not None:
        arguments = ["prlimit", f"--nofile={descriptors}", *arguments]
    with subprocess.Popen(arguments, stderr=theirs, stdout=theirs) as process:
        os.close(theirs)
        try:
            shown, announced = b"", list[str]()
            while b"\n" not in shown or not announced:
                shown += os.read(terminal, 4096)
                announced = shown_lines(shown)
            ports = re.findall(r"(?:url|admin)=https?://[\d.]+:(\d+)", announced[0])
            public, admin = (Proxy("127.0.0.1", int(ports[at]), folder / "callers.jsonl") for at in (0, -1))
            yield Serving(public, admin, process, terminal, announced)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
                forget_journals(str(folder / "callers.jsonl"))
            os.close(terminal)


def forget_journals(log: str, listen: str = "") -> None:
    """Remove the journals of a killed proxy that is not started again."""
    for left in Path(memory_folder()).glob(f"{journal_prefix(log, listen)}*"):
        left.unlink(missing_ok=True)  # a worker may still end


def ended(arguments: list[str], **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    return subprocess.run(
        arguments, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **environment}
    )
