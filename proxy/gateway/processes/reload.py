"""Reloads the configuration on SIGHUP."""

import asyncio
import contextlib
import dataclasses
import signal
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from proxy.config import Config, ConfigError, contradictions
from proxy.gateway.metrics import Reloads
from proxy.gateway.processes import service_manager
from proxy.output.diagnostics import log
from proxy.output.formatting import date
from proxy.run_file import RunFile

Adopt = Callable[[Config], Awaitable[None]]
"""Puts a configuration in force, or raises an error."""


class Reload:
    """Reloads on every SIGHUP. A signal that arrives during a reload leads to another one.

    Args:
        load: reads the configuration.
        read: what it returned at the start.
        running: the configuration in force, which may differ from `read`.
        adopt: puts a configuration in force, or raises an error. Only the policy and the known callers may differ.
        reloads: the metrics.
        file: path of the configuration file, if there is one.
    """

    def __init__(
        self,
        load: Callable[[], Config],
        read: Config,
        running: Config,
        adopt: Adopt,
        reloads: Reloads,
        *,
        file: str | None = None,
    ) -> None:
        self._load = load
        self._read = read
        self._running = running
        self._adopt = adopt
        self._reloads = reloads
        self._requested = asyncio.Event()
        self._stopped = False
        self._file = file
        self._run_file: RunFile | None = None
        self._restart_needed: list[str] = []
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Reload on every SIGHUP from now on, including one that arrived while it was blocked."""
        loop = asyncio.get_running_loop()
        # A handler of the event loop would need the signal unblocked, and workers would inherit that.
        threading.Thread(target=self._wait_for_signals, args=(loop,), daemon=True).start()
        self._task = loop.create_task(self._run())
        if self._file is not None:
            try:
                self._run_file = RunFile(self._file)
            except OSError as error:
                log.warning("reload_not_offered", reason=error.strerror, message="send SIGHUP to reload")

    def stop(self) -> None:
        """Ignore signals from now on."""
        self._stopped = True
        if self._run_file is not None:
            self._run_file.close()
            self._run_file = None

    def _wait_for_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            while True:
                signal.sigwait({signal.SIGHUP})
                loop.call_soon_threadsafe(self._request)

    def _request(self) -> None:
        if not self._stopped:
            self._requested.set()

    async def _run(self) -> None:
        while True:
            await self._requested.wait()
            self._requested.clear()
            with service_manager.reloading():
                problems = await self._reload()
            for problem in problems:
                log.error("reload_refused", message=problem)
            if self._run_file is not None:
                self._run_file.reloaded(problems, self._restart_needed)

    async def _reload(self) -> list[str]:
        """Reload once. Returns the problems that prevent it."""
        self._restart_needed = []
        try:
            read = await asyncio.to_thread(self._load)
            self._restart_needed = keys = needing_restart(self._read, read)
            if keys:
                log.warning("restart_needed", keys=keys, message="these changed in the file")
            config = _checked(merged(self._running, read))
            await self._adopt(config)
        except ConfigError as error:
            self._reloads.record(success=False)
            return error.problems
        except Exception as fault:
            self._reloads.record(success=False)
            return [f"a fault of the proxy itself: {type(fault).__name__}"]
        self._reloads.record(success=True)
        policy = config.lifecycle
        log.info(
            "configuration_reloaded",
            known_callers=len(config.callers.known),
            sunset=policy.sunset and date(policy.sunset),
            brownouts=len(policy.brownouts),
            freeze=policy.freeze and date(policy.freeze),
        )
        return []


def merged(running: Config, read: Config) -> Config:
    """Return the running configuration with what was read of the policy, known callers, gone hosts and letters."""
    callers = dataclasses.replace(running.callers, known=read.callers.known, gone=read.callers.gone)
    return dataclasses.replace(running, lifecycle=read.lifecycle, callers=callers, letters=read.letters)


def _checked(config: Config) -> Config:
    # The file has no contradictions, but its policy may contradict settings that need a restart.
    if problems := contradictions(config):
        raise ConfigError(problems)
    return config


def needing_restart(before: Config, after: Config) -> list[str]:
    """Return the keys whose values differ and need a restart."""
    return _changed_keys(merged(before, after), after)


def _changed_keys(one: Any, other: Any, prefix: str = "") -> list[str]:
    if not (dataclasses.is_dataclass(one) and dataclasses.is_dataclass(other)):
        return [] if one == other else [prefix]
    names = [field.name for field in dataclasses.fields(one)]
    pairs = [(f"{prefix}.{name}".lstrip("."), getattr(one, name), getattr(other, name)) for name in names]
    return [key for where, ours, theirs in pairs for key in _changed_keys(ours, theirs, where)]
