"""`make soak-strangers`: what callers without a token can take from the proxy, beside nginx in the same run."""

import argparse
import asyncio
import contextlib
import re
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.bench.contenders import SUBJECT, Contender, Place, nginx
from tests.bench.load import BODY, PATH
from tests.bench.running import Running
from tests.bench.stage import cores
from tests.support.sockets import free_port

ANSWER = 20 << 20
"""Bytes of the answer that nobody reads."""

BODY_SIZE = (1 << 20) - 1
"""Bytes of each trigger's body, of which the last one never comes."""

PATIENCE = 30.0
"""Seconds for the memory to come down again, and for an honest call."""

SETTLED = 1.1
"""How much of the memory of the start may be in use once the strangers have left."""

PEER = Contender("nginx", lambda place: nginx("bare.conf", place))


class Attack(NamedTuple):
    """What strangers do.

    Attributes:
        name: what the table calls it.
        callers: how many.
        request: what each sends.
        limit: MiB that the proxy may have at most.
    """

    name: str
    callers: int
    request: bytes
    limit: int


ATTACKS = {
    "unread": Attack("500 callers that never read 20 MiB", 500, b"GET /big HTTP/1.1\r\nHost: h\r\n\r\n", 100),
    "bodies": Attack(
        "1,000 triggers of 1 MiB less a byte",
        1000,
        f"POST {PATH} HTTP/1.1\r\nHost: h\r\nContent-Length: {BODY_SIZE + 1}\r\n\r\n".encode() + b" " * BODY_SIZE,
        200,
    ),
    "uploads": Attack(
        "520 uploads of one byte",
        520,
        b"POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nx",
        100,
    ),
}


class Found(NamedTuple):
    """What an attack has done.

    Attributes:
        start, peak, after: MiB of all processes before it, at most, and after it.
        honest: the statuses that other callers got meanwhile: a trigger and a call that is passed through.
        seconds: that the slower of them took.
    """

    start: float
    peak: float
    after: float
    honest: list[int]
    seconds: float


def main() -> int:
    """Run each attack on nginx and on the proxy, and print the memory of both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=[*ATTACKS], nargs="+", default=[*ATTACKS])
    options = parser.parse_args()
    print(f"{'MiB':40}{'':14}{'start':>8}{'peak':>8}{'after':>8}   other callers")
    wrong = 0
    for name in options.only:
        for contender in (PEER, SUBJECT):
            with tempfile.TemporaryDirectory(prefix="strangers-") as folder, service() as upstream:
                found = attacked(contender, ATTACKS[name], Path(folder), upstream)
            _show(contender, ATTACKS[name], found)
            wrong += contender is SUBJECT and not _holds(ATTACKS[name], found)
    return 1 if wrong else 0


def _show(contender: Contender, attack: Attack, found: Found) -> None:
    memory = "".join(f"{size:8.1f}" for size in found[:3])
    print(f"{attack.name:40}{contender.name:14}{memory}   {found.honest} in {found.seconds:.1f} s", flush=True)


def _holds(attack: Attack, found: Found) -> bool:
    return found.peak < attack.limit and found.after < SETTLED * found.start and found.honest == [200, 200]


def attacked(contender: Contender, attack: Attack, folder: Path, upstream: int) -> Found:
    """Attack a contender."""
    place = Place(folder, free_port(), upstream)
    with contender.running(place, cores()) as process:
        for _ in range(200):
            _honest(place.port)
        start = memory(process)
        with contextlib.ExitStack() as strangers:
            callers = [strangers.enter_context(_connected(place.port)) for _ in range(attack.callers)]
            _send_all(callers, attack.request)
            began = time.monotonic()
            honest = _honest(place.port)
            seconds = time.monotonic() - began
        after = _settled(process, start)
        return Found(start, process.peak, after, honest, seconds)


def memory(process: Running) -> float:
    """MiB that the processes of a program have resident."""
    found = [re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()) for pid in process.pids]
    return sum(int(match[1]) for match in found if match) / 1024


def _settled(process: Running, start: float) -> float:
    deadline = time.monotonic() + PATIENCE
    while (now := memory(process)) > SETTLED * start and time.monotonic() < deadline:
        time.sleep(0.2)
    return now


def _connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def _send_all(callers: list[socket.socket], request: bytes) -> None:
    """Send as much as each takes, over all at once, until nobody takes more for two seconds."""
    left = {caller: memoryview(request) for caller in callers}
    for caller in callers:
        caller.setblocking(False)
    last = time.monotonic()
    while left and time.monotonic() < last + 2:
        sent = 0
        for caller, data in list(left.items()):
            try:
                count = caller.send(data[: 64 << 10])
            except BlockingIOError:
                continue
            except OSError:
                del left[caller]
                continue
            sent += count
            left[caller] = data[count:]
            if not left[caller]:
                del left[caller]
        if sent:
            last = time.monotonic()
        else:
            time.sleep(0.01)
    time.sleep(2)  # for what is sent to arrive


def _honest(port: int) -> list[int]:
    requests = (
        f"POST {PATH} HTTP/1.1\r\nHost: h\r\nContent-Length: {len(BODY)}\r\n\r\n".encode() + BODY.encode(),
        b"POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
    )
    return [_status(port, request) for request in requests]


def _status(port: int, request: bytes) -> int:
    try:
        with _connected(port) as caller:
            caller.sendall(request)
            return int(caller.recv(65536).split()[1])
    except (OSError, IndexError):
        return 0


RUN = b'{"id":"1","slug":"7","status":"created","user":{"id":"u","slug":"alice"}}'


@contextlib.contextmanager
def service() -> Iterator[int]:
    """A service that takes bodies of any length and answers with a run, or `ANSWER` bytes to ``/big``; its port."""
    loop = asyncio.new_event_loop()
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    server = loop.run_until_complete(asyncio.start_server(_serve, sock=listener))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, EOFError, asyncio.IncompleteReadError):
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            await reader.readexactly(int(length[1]) if length else 0)
            size = ANSWER if head.startswith(b"GET /big") else len(RUN)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % size)
            if size == len(RUN):
                writer.write(RUN)
            else:
                for _ in range(ANSWER >> 16):
                    writer.write(b"x" * (1 << 16))
                    await writer.drain()
    writer.close()


if __name__ == "__main__":
    sys.exit(main())
