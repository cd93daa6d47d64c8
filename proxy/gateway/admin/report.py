"""The report of `trigger-shim callers` for the admin listener.

It is made in a process of its own, so that its time and memory do not affect calls.
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
from proxy.callers.log.files import NoLog, log_files
from proxy.config import sources
from proxy.gateway import child

Form = Literal["html", "json"]

TIMEOUT = 120.0
"""Seconds until a report is given up."""

MEMORY = 1 << 30
"""Bytes of address space that a report may use."""

SHORTEST_LIFE = 5.0
"""Minimum seconds for which a report is cached."""

LIFE = 9
"""A report is cached for so many times its generation time, so reports use at most a tenth of a core."""

_NICE = 10


class NoReport(Exception):
    """The report could not be made. The message is for the reader."""


class _Made(NamedTuple):
    """A report, or why there is none.

    Attributes:
        until: on the loop's clock.
    """

    text: bytes
    problem: str | None
    until: float


class _Making:
    """A report that is being made, and how many readers wait for it."""

    def __init__(self, task: "asyncio.Task[_Made]") -> None:
        self.task = task
        self.readers = 0


class LiveReport:
    """Makes reports on the configured log, one at a time, and caches them, failures included."""

    def __init__(self, settings: config.Config) -> None:
        # A report does not need the key, and `render` would mask it.
        callers = dataclasses.replace(settings.callers, fingerprint_key=None)
        self._settings = config.render(dataclasses.replace(settings, callers=callers)).encode()
        self._log = settings.callers.log
        self._turn = asyncio.Lock()
        self._cache: dict[Form, _Made] = {}
        self._making: dict[Form, _Making] = {}

    async def text(self, form: Form) -> bytes:
        """The report, which may be cached. It is given up when all who wait for it are cancelled.

        Raises:
            NoReport: there is no log, or the report took too much time or memory.
        """
        made = self._cache.get(form)
        if made is None or made.until < asyncio.get_running_loop().time():
            made = await self._make_once(form)
        if made.problem is not None:
            raise NoReport(made.problem)
        return made.text

    async def _make_once(self, form: Form) -> _Made:
        making = self._making.get(form)
        if making is None:
            making = self._making[form] = _Making(asyncio.create_task(self._make(form)))
        making.readers += 1
        try:
            return await asyncio.shield(making.task)
        finally:
            making.readers -= 1
            if not making.readers:
                making.task.cancel()
                self._making.pop(form)

    async def _make(self, form: Form) -> _Made:
        loop = asyncio.get_running_loop()
        async with self._turn:
            started, text, problem = loop.time(), b"", None
            try:
                text = await self._run(form)
            except NoReport as error:
                problem = str(error)
            now = loop.time()
            made = self._cache[form] = _Made(text, problem, now + max(SHORTEST_LIFE, LIFE * (now - started)))
        return made

    async def _run(self, form: Form) -> bytes:
        try:
            await asyncio.to_thread(log_files, self._log)
        except NoLog as problem:
            raise NoReport(str(problem)) from None
        process = await self._start(form)
        try:
            _restrain(process)
            async with asyncio.timeout(TIMEOUT):
                text, messages = await process.communicate()
        except TimeoutError:
            raise NoReport(f"the report took over {TIMEOUT:g} s; make it with 'trigger-shim callers'") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.communicate()
        if process.returncode:
            lines = messages.decode(errors="replace").splitlines() or ["the report could not be made"]
            raise NoReport(lines[-1])
        return text

    async def _start(self, form: Form) -> Process:
        # The settings have it already, and flags that override it.
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
    """The descriptor of a file in memory."""
    with open(os.memfd_create("config"), "wb") as file:  # noqa: PTH123 - a descriptor, not a path
        file.write(content)
        file.flush()
        yield file.fileno()


def _restrain(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has already ended
        resource.prlimit(process.pid, resource.RLIMIT_AS, (MEMORY, MEMORY))
        with contextlib.suppress(PermissionError):  # by the filter of system calls in deploy/systemd
            os.setpriority(os.PRIO_PROCESS, process.pid, _NICE)
