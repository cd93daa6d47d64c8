"""A mail server that keeps what it is sent (RFC 5321)."""

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from typing import NamedTuple


class Delivered(NamedTuple):
    """A message, as it arrived."""

    recipients: list[str]
    content: bytes


class SmtpServer(socketserver.ThreadingTCPServer):
    """Listens on loopback, and takes every message."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.delivered: list[Delivered] = []


class _Session(socketserver.StreamRequestHandler):
    server: SmtpServer

    def handle(self) -> None:
        recipients: list[str] = []
        self._say("220 ready")
        while line := self.rfile.readline().decode().rstrip():
            command = line.upper()
            if command.startswith("RCPT TO:"):
                recipients.append(line[len("RCPT TO:") :].strip("<> "))
            if command == "DATA":
                self._say("354 go on")
                self.server.delivered.append(Delivered(recipients, self._content()))
            self._say("221 bye" if command == "QUIT" else "250 done")

    def _content(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) not in {b".\r\n", b""}:
            lines.append(line.removeprefix(b"."))
        return b"".join(lines)

    def _say(self, reply: str) -> None:
        self.wfile.write(f"{reply}\r\n".encode())


@contextlib.contextmanager
def smtp_server() -> Iterator[SmtpServer]:
    with SmtpServer() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
