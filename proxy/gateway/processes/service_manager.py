"""Tells the service manager the state of the proxy, by systemd's sd_notify protocol.

Each message is one datagram of text. The libraries for it are unmaintained, or must be compiled against systemd.
"""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Iterator

ADDRESS = "NOTIFY_SOCKET"
"""The environment variable with the service manager's address. Without it, nothing is sent."""


def ready() -> None:
    """Report that calls are answered."""
    _send("READY=1")


def stopping() -> None:
    """Report that the proxy stops once the calls under way have ended."""
    _send("STOPPING=1")


def stay_alive() -> None:
    """Report regularly that the event loop runs, if the service manager wants to know: it ends what has hung."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()) and "WATCHDOG_USEC" in os.environ:
        _send("WATCHDOG=1")
        # sd_watchdog_enabled(3) recommends half of the time.
        asyncio.get_running_loop().call_later(int(os.environ["WATCHDOG_USEC"]) / 2_000_000, stay_alive)


@contextlib.contextmanager
def reloading() -> Iterator[None]:
    """Report that the configuration is reloaded while the block runs, and that the proxy is ready after it."""
    # Type=notify-reload requires the time (systemd 253 or later).
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
    # Neither fail nor wait if the service manager has stopped listening.
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.setblocking(False)
        channel.sendto(state.encode(), address)
