"""A way to a server that can be slow, be closed, and lead to another server."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator


class Detour:
    """Passes connections on to a port.

    Args:
        target: the port, on the loopback interface.

    Attributes:
        port: where it listens.
        target: where connections from now on lead to.
        delay: seconds that each piece of data takes from now on.
        connections: how many there were.
    """

    def __init__(self, target: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.target = target
        self.delay = 0.0
        self.connections = 0
        self._open: set[socket.socket] = set()

    def cut(self) -> None:
        """End all connections."""
        for connection in self._open.copy():
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def accept(self) -> None:
        """Accept connections until it is closed."""
        with contextlib.suppress(OSError):
            while True:
                self._lead(self._listener.accept()[0])

    def close(self) -> None:
        """End everything."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _lead(self, near: socket.socket) -> None:
        self.connections += 1
        try:
            far = socket.create_connection(("127.0.0.1", self.target), timeout=60)
        except OSError:
            near.close()
            return
        self._open |= {near, far}
        threading.Thread(target=self._connect, args=(near, far), daemon=True).start()

    def _connect(self, near: socket.socket, far: socket.socket) -> None:
        back = threading.Thread(target=self._pump, args=(far, near), daemon=True)
        back.start()
        self._pump(near, far)
        back.join()  # a socket closed while it is read may be another's by then, which would lose its data
        for end in (near, far):
            end.close()
            self._open.discard(end)

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                time.sleep(self.delay)
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def detour(target: int) -> Iterator[Detour]:
    """A detour that is open while the block runs."""
    made = Detour(target)
    thread = threading.Thread(target=made.accept, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.close()
        thread.join()
