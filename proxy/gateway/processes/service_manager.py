"""Tells the service manager how the proxy is: systemd's sd_notify protocol, one datagram a message.

The protocol is a line of text to a socket. The libraries for it are unmaintained, or must be compiled against systemd.
"""

import contextlib
import os
import socket
import time
from collections.abc import Iterator

ADDRESS = "NOTIFY_SOCKET"
"""The variable that says where the service manager listens; without it nobody does."""


def ready() -> None:
    """Calls are answered from now on."""
    _send("READY=1")


def stopping() -> None:
    """The proxy takes no more calls, and ends once those under way have."""
    _send("STOPPING=1")


@contextlib.contextmanager
def reloading() -> Iterator[None]:
    """The configuration is read anew in the block; after it the proxy is ready again, with the new one or the old."""
    # With the time, as Type=notify-reload asks for it (systemd 253 or later).
    _send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
    try:
        yield
    finally:
        ready()


def _send(state: str) -> None:
    address = os.environ.get(ADDRESS, "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):  # Linux's abstract namespace
        address = "\0" + address[1:]
    # A service manager that does not listen any more is no reason to fail, nor to wait.
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.setblocking(False)
        channel.sendto(state.encode(), address)
