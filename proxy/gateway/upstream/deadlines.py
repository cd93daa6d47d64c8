"""When exchanges with the service must be over."""

import asyncio

from proxy.gateway.upstream.connection import Connection


class Deadlines:
    """One timer for all exchanges: one for each costs more than all else that is done in time."""

    def __init__(self) -> None:
        self._due: dict[Connection, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def set(self, connection: Connection, due: float) -> None:
        """Have a connection's exchange fail at a time on the loop's clock."""
        self._due[connection] = due
        if self._timer is None or due < self._timer.when():
            self._arm(due)

    def clear(self, connection: Connection) -> None:
        """The exchange is over."""
        self._due.pop(connection, None)

    def _arm(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(due, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for connection in [connection for connection, due in self._due.items() if due <= now]:
            self.clear(connection)
            connection.expire()
        if self._due:
            self._arm(min(self._due.values()))
