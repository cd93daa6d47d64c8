"""A proxy whose caller and upstream are both played by the test, so that the order of events is known."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.proxy import Proxy, proxy_for
from tests.support.waiting import PATIENCE
from tests.support.wire import Wire


class ByHand:
    """A proxy between connections that the test reads and writes."""

    def __init__(self, proxy: Proxy, listener: socket.socket) -> None:
        self.proxy = proxy
        self._listener = listener
        self._wires: list[Wire] = []

    def caller(self, request: bytes = b"") -> Wire:
        """A new connection to the proxy, on which a request is sent at once."""
        return self._kept(self.proxy.wire(request))

    def upstream(self) -> Wire:
        """The next connection from the proxy."""
        self._listener.settimeout(PATIENCE)
        return self._kept(Wire(self._listener.accept()[0]))

    def settle(self) -> None:
        """Close every connection, and return when the proxy has seen it."""
        while self._wires:
            self._wires.pop().close()
        self.proxy.has_read()

    def _kept(self, wire: Wire) -> Wire:
        self._wires.append(wire)
        return wire


@contextlib.contextmanager
def by_hand(folder: Path, base: str = "", **sections: Any) -> Iterator[ByHand]:
    """A proxy whose upstream is played by the test, below a base path. `sections` are merged into the configuration."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        proxy_for("http://{}:{}".format(*listener.getsockname()) + base, folder, **sections) as proxy,
    ):
        hands = ByHand(proxy, listener)
        try:
            yield hands
        finally:
            hands.settle()
