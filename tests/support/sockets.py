"""Free ports, and which process has which connections."""

import contextlib
import secrets
import socket
from pathlib import Path

ESTABLISHED = "01"


def free_port() -> int:
    """A port of the loopback interface on which nobody listens, for a program that cannot choose one itself.

    It is none of those that the system hands out: somebody else could get such a one before the program has it, and who
    connects to it meanwhile could reach itself.
    """
    chosen = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    first = max(int(chosen[0]), 4096)
    while True:
        port = secrets.choice(range(first // 2, first))
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def accepted(pid: int, port: int) -> int:
    """How many connections to a port of the loopback interface a process has at its end."""
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    found = {f"socket:[{row[9]}]" for row in rows if row[1] == f"0100007F:{port:04X}" and row[3] == ESTABLISHED}
    return sum(link in found for link in links(pid))


def links(pid: int) -> list[str]:
    """What the descriptors of a process are of."""
    found = []
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found.append(str(file.readlink()))
    return found
