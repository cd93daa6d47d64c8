"""Free ports, and the connections of a process."""

import contextlib
import os
import secrets
import socket
from pathlib import Path

ESTABLISHED = "01"

_given: set[int] = set()


def free_port() -> int:
    """A loopback port on which nothing listens, for a program that cannot choose one itself.

    It is outside the range from which the kernel assigns ports, so no other socket gets it before the program does, and
    a client that tries to connect in the meantime cannot connect to itself. Each process of a run of the tests has its
    own ports, and gives each away once.
    """
    chosen = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    first = max(int(chosen[0]), 4096)
    number, count = os.environ.get("PYTEST_XDIST_WORKER", "gw0"), os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")
    own = range(first // 2 + int(number.removeprefix("gw")), first, int(count))
    while True:
        port = secrets.choice(own)
        if port not in _given:
            with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
                _given.add(port)
                return port


def accepted(pid: int, port: int) -> int:
    """The number of connections to a loopback port that a process has accepted."""
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    found = {f"socket:[{row[9]}]" for row in rows if row[1] == f"0100007F:{port:04X}" and row[3] == ESTABLISHED}
    return sum(link in found for link in links(pid))


def links(pid: int) -> list[str]:
    """The targets of a process's open descriptors, such as ``socket:[123]``."""
    found = []
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found.append(str(file.readlink()))
    return found
