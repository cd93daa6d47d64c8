"""An upstream in a process of its own, to be killed: the ids of the requests that it has got stand in a file.

Called with the file and the port. The first line on its standard input has it listen, the second has it answer no
more, and the end of that is its own. It prints a line for each request that it does not answer.
"""

import os
import socket
import sys
from pathlib import Path

from tests.support.upstream import Received, Upstream, stays_silent


class Ledger(list[Received]):
    """Requests, of which each is in the file before it is answered."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def append(self, request: Received) -> None:
        os.write(self._file, f"{request.all('x-request-id')[0]}\n".encode())


def waits(connection: socket.socket) -> None:
    os.write(1, b"no answer\n")
    stays_silent(connection)


def main(file: str, port: str) -> None:
    upstream = Upstream(received=Ledger(Path(file)))
    sys.stdin.readline()
    with upstream.running(socket.create_server(("127.0.0.1", int(port)))):
        sys.stdin.readline()
        upstream.script = waits
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
