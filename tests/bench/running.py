"""Programs on cores of their own, and what they use."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.support.programs import packages

PATIENCE = 30.0
"""Seconds in which a program serves, or ends."""

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends the benchmark."""

TICKS = os.sysconf("SC_CLK_TCK")
"""How many of a process's units of time there are in a second."""


def program(name: str) -> str:
    """The path of a program; without it, the benchmark ends and names the package."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
    if found is None:
        sys.exit(f"{name} is not installed: apt-get install {packages()[name]}")
    return found


def on(cores: Sequence[int], command: Sequence[str]) -> list[str]:
    """The same command, on some cores only."""
    return ["taskset", "--cpu-list", ",".join(map(str, cores)), *command]


@contextlib.contextmanager
def started(command: Sequence[str], **options: Any) -> Iterator["subprocess.Popen[bytes]"]:
    """A process, which is killed where the block fails.

    A signal that comes while the process starts waits until the block has begun, or would leave the process to nobody.
    A mask would not do: another thread, without one, takes the signal.
    """
    caught: list[int] = []
    handlers = {number: signal.signal(number, lambda number, _: caught.append(number)) for number in ENDING}

    def heed() -> None:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for signal_number in caught:
            signal.raise_signal(signal_number)

    try:
        process = subprocess.Popen(command, **options)
    except BaseException:
        heed()
        raise
    with process:
        try:
            heed()
            yield process
        except BaseException:
            process.kill()
            raise


class Running:
    """A program, with all the processes that it has started."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", errors: Path) -> None:
        self.name = name
        self._process = process
        self._errors = errors

    @property
    def pids(self) -> list[int]:
        """Its processes."""
        numbers = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
        return [pid for pid in numbers if self._has(pid)]

    @property
    def peak(self) -> float:
        """The most memory that its processes have had, added up, in MiB."""
        found = [re.search(r"VmHWM:\s+(\d+)", _read(pid, "status")) for pid in self.pids]
        return sum(int(match[1]) for match in found if match) / 1024

    @property
    def used(self) -> dict[int, float]:
        """Seconds of a core that each of its processes has used."""
        stats = {pid: _read(pid, "stat").rpartition(")")[2].split() for pid in self.pids}
        return {pid: (int(stat[11]) + int(stat[12])) / TICKS for pid, stat in stats.items() if stat}

    def wait_for(self, port: int) -> None:
        """Wait until it serves on a port; where it does not, the benchmark ends and says why."""
        deadline = time.monotonic() + PATIENCE
        while not _listens(port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{self.name} does not start: {self._last_words()}")
            time.sleep(0.02)

    def end(self) -> None:
        """End it and all that it has started."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE)
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        self._process.wait()

    def _has(self, pid: int) -> bool:
        try:
            return os.getsid(pid) == self._process.pid
        except ProcessLookupError:
            return False

    def _last_words(self) -> str:
        return (self._errors.read_text(errors="replace").splitlines() or ["it says nothing"])[-1]


@contextlib.contextmanager
def running(name: str, command: Sequence[str], cores: Sequence[int], folder: Path) -> Iterator[Running]:
    """Have a program run on some cores while the block does."""
    errors = folder / "stderr"
    with errors.open("wb") as file:
        starting = started(
            on(cores, command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=file,
            start_new_session=True,  # by which its processes are found; and Ctrl-C is for the benchmark
        )
        with starting as process:
            program = Running(name, process, errors)
            try:
                yield program
            finally:
                program.end()


def _read(pid: int, file: str) -> str:
    try:
        return Path(f"/proc/{pid}/{file}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0
