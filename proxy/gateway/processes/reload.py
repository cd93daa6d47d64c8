"""Reads the configuration again on SIGHUP, and says what became of that."""

import asyncio
import contextlib
import dataclasses
import signal
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from proxy.config import Config, ConfigError, contradictions
from proxy.gateway.metrics import Reloads
from proxy.gateway.processes import service_manager as notify
from proxy.output.diagnostics import log
from proxy.output.formatting import date


class Reload:
    """Reloads, one after the other; a signal that comes in the middle of one leads to another.

    Args:
        load: reads the configuration.
        read: what it read at the start.
        running: that, as it is in force.
        adopt: puts a configuration in force that differs from the running one in what may change; raises whatever is
            wrong.
        reloads: how they went.
    """

    def __init__(
        self,
        load: Callable[[], Config],
        read: Config,
        running: Config,
        adopt: Callable[[Config], Awaitable[None]],
        reloads: Reloads,
    ) -> None:
        self._load = load
        self._read = read
        self._running = running
        self._adopt = adopt
        self._reloads = reloads
        self._asked = asyncio.Event()
        self._over = False
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Reload on every SIGHUP from now on, and on one that was held."""
        loop = asyncio.get_running_loop()
        # Not a handler of the loop's: that would need the signal unblocked, and so it would be where workers start.
        threading.Thread(target=self._hear, args=(loop,), daemon=True).start()
        self._task = loop.create_task(self._run())

    def end(self) -> None:
        """Hear of no signal any more."""
        self._over = True

    def _hear(self, loop: asyncio.AbstractEventLoop) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            while True:
                signal.sigwait({signal.SIGHUP})
                loop.call_soon_threadsafe(self._ask)

    def _ask(self) -> None:
        if not self._over:
            self._asked.set()

    async def _run(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            with notify.reloading():
                problems = await self._reload()
            for problem in problems:
                log.error("reload_refused", message=problem)

    async def _reload(self) -> list[str]:
        """Reload once, and return why that cannot be."""
        try:
            read = await asyncio.to_thread(self._load)
            if keys := needing_restart(self._read, read):
                log.warning("restart_needed", keys=keys, message="these changed in the file")
            config = _checked(merged(self._running, read))
            await self._adopt(config)
        except ConfigError as error:
            self._reloads.went(well=False)
            return error.problems
        except Exception as fault:
            self._reloads.went(well=False)
            return [f"a fault of the proxy itself: {type(fault).__name__}"]
        self._reloads.went(well=True)
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
    """What runs, with what may change while it does: the policy and the known callers."""
    callers = dataclasses.replace(running.callers, known=read.callers.known)
    return dataclasses.replace(running, lifecycle=read.lifecycle, callers=callers)


def _checked(config: Config) -> Config:
    # What was read goes together; what of it can be taken over may not go with what runs.
    if problems := contradictions(config):
        raise ConfigError(problems)
    return config


def needing_restart(before: Config, after: Config) -> list[str]:
    """The keys whose values differ and cannot change while it runs."""
    return _differing(merged(before, after), after)


def _differing(one: Any, other: Any, prefix: str = "") -> list[str]:
    if not (dataclasses.is_dataclass(one) and dataclasses.is_dataclass(other)):
        return [] if one == other else [prefix]
    names = [field.name for field in dataclasses.fields(one)]
    pairs = [(f"{prefix}.{name}".lstrip("."), getattr(one, name), getattr(other, name)) for name in names]
    return [key for where, ours, theirs in pairs for key in _differing(ours, theirs, where)]
