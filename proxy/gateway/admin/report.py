"""The report on the caller log for the admin listener: what `trigger-shim callers` prints.

It is made in a process of its own, which may take its time and its memory without a call noticing.
"""

import asyncio
import contextlib
import dataclasses
import os
import resource
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Iterator
from typing import Literal, NamedTuple

from proxy import config
from proxy.config import sources
from proxy.gateway import child

Form = Literal["html", "json"]

TIMEOUT = 120.0
"""Seconds that a report may take."""

MEMORY = 1 << 30
"""Bytes of address space that it may take."""

SHORTEST_LIFE = 5.0
"""Seconds for which a report is shown again, at least."""

LIFE = 9
"""How many times as long as it took to make, so that looking at it takes no more than a tenth of a core."""

_NICE = 10


class NoReport(Exception):
    """It cannot be made; the message is for whoever asked for it."""


class _Made(NamedTuple):
    text: bytes
    until: float


class LiveReport:
    """Makes reports on the configured log, one at a time, and keeps each for a while."""

    def __init__(self, settings: config.Config) -> None:
        # A report needs no secret, and the rendered one would be its mask.
        callers = dataclasses.replace(settings.callers, fingerprint_key=None)
        self._settings = config.render(dataclasses.replace(settings, callers=callers)).encode()
        self._turn = asyncio.Lock()
        self._made: dict[Form, _Made] = {}

    async def text(self, form: Form) -> bytes:
        """The report, as new as its life allows.

        Raises:
            NoReport: there is no log to be read, or it took too much time or memory.
        """
        loop = asyncio.get_running_loop()
        async with self._turn:
            made = self._made.get(form)
            if made is None or made.until < loop.time():
                begun = loop.time()
                text = await self._make(form)
                made = self._made[form] = _Made(text, loop.time() + max(SHORTEST_LIFE, LIFE * (loop.time() - begun)))
        return made.text

    async def _make(self, form: Form) -> bytes:
        process = await self._start(form)
        try:
            _restrain(process)
            async with asyncio.timeout(TIMEOUT):
                text, said = await process.communicate()
        except TimeoutError:
            raise NoReport(f"the report took over {TIMEOUT:g} s; make it with 'trigger-shim callers'") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.communicate()
        if process.returncode:
            lines = said.decode(errors="replace").splitlines() or ["the report could not be made"]
            raise NoReport(lines[-1])
        return text

    async def _start(self, form: Form) -> Process:
        # What the environment says is in the settings, under what the flags had said.
        environment = {
            name: value
            for name, value in child.environment().items()
            if not name.startswith(sources.ENVIRONMENT_PREFIX)
        }
        with _in_memory(self._settings) as file:
            command = child.command("proxy", "callers", "--config", f"/dev/fd/{file}", "--format", form)
            return await asyncio.create_subprocess_exec(
                *command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=environment, pass_fds=(file,)
            )


@contextlib.contextmanager
def _in_memory(content: bytes) -> Iterator[int]:
    """The descriptor of a file that is nowhere else."""
    with open(os.memfd_create("config"), "wb") as file:  # noqa: PTH123 - a descriptor
        file.write(content)
        file.flush()
        yield file.fileno()


def _restrain(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended already
        os.setpriority(os.PRIO_PROCESS, process.pid, _NICE)
        resource.prlimit(process.pid, resource.RLIMIT_AS, (MEMORY, MEMORY))
