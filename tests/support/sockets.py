"""Free ports, and the connections of a process."""

import contextlib
import secrets
import socket
from pathlib import Path

ESTABLISHED = "01"


def free_port() -> int:
    """A loopback port on which nothing listens, for a program that cannot choose one itself.

    It is outside the range from which the kernel assigns ports, so no other socket gets it before the program does, and
    a client that tries to connect in the meantime cannot connect to itself.
    """
    chosen = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    first = max(int(chosen[0]), 4096)
    while True:
        port = secrets.choice(range(first // 2, first))
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
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
