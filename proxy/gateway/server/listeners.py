"""The listening sockets."""

import contextlib
import os
import socket
from typing import NamedTuple

from proxy.config import Config
from proxy.config.values import Address, UnixPath
from proxy.gateway.server import unix_sockets
from proxy.gateway.server.acceptor import MAX_WAITING
from proxy.gateway.server.unix_sockets import SocketFile

_FIRST_PASSED = 3
"""The first descriptor that a service manager passes."""


class ServeError(Exception):
    """The proxy cannot start or stop properly. The message is for whoever runs it."""


class Listeners(NamedTuple):
    """The listening sockets: for callers, and for the admin pages.

    Attributes:
        files: those that were created for Unix sockets.
    """

    public: socket.socket
    admin: socket.socket | None = None
    files: tuple[SocketFile, ...] = ()

    @property
    def sockets(self) -> list[socket.socket]:
        """All of them."""
        return [self.public] if self.admin is None else [self.public, self.admin]

    def remove_files(self) -> None:
        """Remove the files, before the process ends."""
        for file in self.files:
            file.remove()


def listen(config: Config, *, reuse_port: bool = False) -> Listeners:
    """Open the sockets that the configuration names: those that the service manager has passed, or new ones.

    Args:
        config: the whole configuration.
        reuse_port: whether another process may listen on the same ports, which this one replaces. Not on Unix sockets.

    Raises:
        ServeError: a socket cannot be bound, or one was passed that the configuration does not name.
    """
    with contextlib.ExitStack() as unless_opened:
        passed: dict[int | str, socket.socket] = {}
        files = []
        for given in _passed():
            passed[address(given).name] = unless_opened.enter_context(given)

        def open_socket(key: str, where: Address | UnixPath) -> socket.socket:
            if where.name in passed:
                return passed.pop(where.name)
            bound = unless_opened.enter_context(bind(key, where, reuse_port=reuse_port))
            if (file := SocketFile.of(bound)) is not None:
                files.append(file)
                unless_opened.callback(file.remove)
            return bound

        public = open_socket("listen", config.listen)
        admin = open_socket("admin", config.admin) if config.admin is not None else None
        for bound in passed.values():
            kind = "path" if bound.family == socket.AF_UNIX else "port"
            raise ServeError(f"a socket for {address(bound)} was passed, but neither listen nor admin has this {kind}")
        unless_opened.pop_all()
    return Listeners(public, admin, tuple(files))


def _passed() -> list[socket.socket]:
    """The sockets that the service manager has opened, see sd_listen_fds(3)."""
    is_meant = os.environ.pop("LISTEN_PID", None) == str(os.getpid())
    count = int(os.environ.pop("LISTEN_FDS", "0"))
    if not is_meant:
        return []
    sockets = [socket.socket(fileno=number) for number in range(_FIRST_PASSED, _FIRST_PASSED + count)]
    for bound in sockets:
        bound.set_inheritable(False)
    return sockets


def loopback() -> socket.socket:
    """Return a listening socket on a free port of the loopback interface."""
    return bind("listen", Address("127.0.0.1", 0))


def bind(key: str, address: Address | UnixPath, *, reuse_port: bool = False) -> socket.socket:
    """Bind a listening socket.

    Args:
        key: the key of the address in the configuration, for the error.
        address: where to listen.
        reuse_port: whether another process may listen there, too.

    Raises:
        ServeError: it cannot be bound.
    """
    try:
        if isinstance(address, UnixPath):
            return unix_sockets.bind(address.path, MAX_WAITING)
        family, kind, protocol, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with contextlib.ExitStack() as unless_listening:
            bound = unless_listening.enter_context(socket.socket(family, kind, protocol))
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            bound.bind(where)
            bound.listen(MAX_WAITING)
            unless_listening.pop_all()
    except OSError as error:
        raise ServeError(f"{key}: {address}: {error.strerror}") from None
    return bound


def address(bound: socket.socket) -> Address | UnixPath:
    """Return the address that a socket listens on."""
    name = bound.getsockname()
    return UnixPath(os.fsdecode(name)) if bound.family == socket.AF_UNIX else Address(*name[:2])
