"""An event that costs little until somebody waits for it."""

import asyncio


class Event:
    """As `asyncio.Event`, whose queue alone takes 600 bytes: too much for what each idle connection has several of.

    Args:
        is_set: whether it is set from the start.
    """

    __slots__ = ("_is_set", "_waited_for")

    def __init__(self, *, is_set: bool) -> None:
        self._is_set = is_set
        self._waited_for: asyncio.Event | None = None

    def is_set(self) -> bool:
        """Whether it is set."""
        return self._is_set

    def set(self) -> None:
        """Let all go on that wait for it."""
        self._is_set = True
        if self._waited_for is not None:
            self._waited_for.set()
            self._waited_for = None

    def clear(self) -> None:
        """Have those wait that come from now on."""
        self._is_set = False

    async def wait(self) -> None:
        """Wait until it is set."""
        if self._is_set:
            return
        if self._waited_for is None:
            self._waited_for = asyncio.Event()
        await self._waited_for.wait()
