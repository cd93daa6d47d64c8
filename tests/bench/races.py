"""What a caller gets where the service acts at the very moment of a call, beside nginx and HAProxy; see README.md."""

import argparse
import contextlib
import os
import random
import select
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.bench import figures
from tests.bench.contenders import SUBJECT, Contender, Place
from tests.bench.load import AUTHORIZATION, BODY, PATH, filled
from tests.bench.running import program
from tests.bench.stage import cores
from tests.support.sockets import free_port
from tests.support.wire import Broken, Wire

KEEP_ALIVE = 2
"""Seconds after which the service closes an idle connection, where it says so in ``Keep-Alive``."""

JITTER = 0.0004
"""Seconds after a call within which the service acts: about what the call takes to get there."""

CALL = (
    f"POST {PATH} HTTP/1.1\r\nHost: proxy\r\nAuthorization: {AUTHORIZATION}\r\n"
    f"Content-Length: {len(BODY)}\r\n\r\n{BODY}"
).encode()
PIECE = bytes(4096)
PIECES = 1000
UPLOAD = b"PUT /file HTTP/1.1\r\nHost: proxy\r\nContent-Length: %d\r\n\r\n" % (len(PIECE) * PIECES)


def answer(slug: bytes, status: bytes = b"200 OK", fields: bytes = b"") -> bytes:
    """A whole answer, with a run."""
    body = b'{"id":"","slug":"%b","status":"created","user":{"id":"u1","slug":"alice"}}' % slug
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n%b" % (status, len(body), fields, body)


FIRST, RIGHT, UNASKED = (answer(slug) for slug in (b"first", b"right", b"unasked"))
REFUSED = answer(b"right", b"413 Content Too Large", b"Connection: close\r\n")


class Scene:
    """Callers in front of a proxy and the service behind it, all played by one thread, so that their order is known."""

    def __init__(self, port: int, listener: socket.socket, chance: random.Random) -> None:
        self.chance = chance
        self._port = port
        self._listener = listener
        self._wires: list[Wire] = []

    def caller(self) -> Wire:
        """A new connection to the proxy."""
        return self._kept(socket.create_connection(("127.0.0.1", self._port)))

    def service(self) -> Wire:
        """The next connection from the proxy."""
        return self._kept(self._listener.accept()[0])

    def idle(self, first: bytes = FIRST) -> tuple[Wire, Wire]:
        """A caller that has its first answer, and the connection over which the proxy got it."""
        caller = self.caller()
        caller.send(CALL)
        service = self.service()
        answered(service, first)
        caller.answer()
        return caller, service

    def outcome(self, caller: Wire, service: Wire) -> str:
        """Answer whatever comes to the service, until a caller has something; say what."""
        services = {service.socket: service}
        while caller.socket not in (ready := readable(caller.socket, self._listener, *services, seconds=20)):
            for connection in ready:
                if connection is self._listener:
                    wire = self.service()
                    services[wire.socket] = wire
                elif not answered(services[connection], RIGHT):
                    del services[connection]
        return got(caller)

    def close(self) -> None:
        """Have everybody hang up, and give the proxy time to see it."""
        while self._wires:
            self._wires.pop().close()
        time.sleep(0.01)

    def _kept(self, connection: socket.socket) -> Wire:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wires.append(Wire(connection))
        return self._wires[-1]


def readable(*connections: socket.socket, seconds: float = 0) -> list[socket.socket]:
    """Which of some connections have something to be read, their end included; those closed here have not."""
    return select.select([one for one in connections if one.fileno() >= 0], [], [], seconds)[0]


def answered(service: Wire, with_: bytes) -> bool:
    """Answer a request; False where the connection ends instead."""
    with contextlib.suppress(Broken, OSError):
        service.body(int(service.head().all(b"content-length")[0]))
        service.send(with_)
        return True
    return False


def got(caller: Wire) -> str:
    """What a caller got: the right answer, one that nobody asked for, an error, or nothing."""
    try:
        head, body = caller.answer()
    except (Broken, OSError):
        return "nothing"
    return next((kind for kind in ("right", "unasked") if kind.encode() in body), str(head.status))


def spin(seconds: float) -> None:
    """Wait more exactly than a sleep does."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


# --- what the service does


def refuses(scene: Scene, end: Callable[[Wire], None]) -> str:
    """Refuse an upload in the middle of it, and close."""
    caller = scene.caller()
    sending = threading.Thread(target=upload, args=(caller,))
    sending.start()
    service = scene.service()
    service.head()
    spin(scene.chance.uniform(0, 0.01))
    service.socket.send(REFUSED)
    end(service)
    found = got(caller)
    sending.join()
    return found


def upload(caller: Wire) -> None:
    """Send a body, as far as it is taken."""
    with contextlib.suppress(OSError):
        caller.send(UPLOAD)
        for _ in range(PIECES):
            caller.send(PIECE)


def closes(service: Wire) -> None:
    """End a connection; where something is unread, that is a reset."""
    service.close()


def reads_and_closes(service: Wire) -> None:
    """End a connection of which all is read; a reset comes once more is sent."""
    service.socket.setblocking(False)
    with contextlib.suppress(OSError):
        while service.socket.recv(1 << 20):
            pass
    service.close()


def answers(service: Wire) -> None:
    """Send an answer that nobody asked for."""
    service.send(UNASKED)


def during_a_call(scene: Scene, act: Callable[[Wire], None], first: bytes = FIRST, rest: float = 0) -> str:
    """Act on an idle connection while a call is on its way through the proxy."""
    caller, service = scene.idle(first)
    time.sleep(rest)
    caller.send(CALL)
    spin(scene.chance.uniform(0, JITTER))
    if not readable(service.socket):  # or else the call has come, and is answered
        act(service)
    return scene.outcome(caller, service)


ANNOUNCED = answer(b"first", fields=b"Keep-Alive: timeout=%d\r\n" % KEEP_ALIVE)
RACES: dict[str, Callable[[Scene], str]] = {
    "refuses an upload, and closes with some of it unread": partial(refuses, end=closes),
    "refuses an upload, and closes with all read": partial(refuses, end=reads_and_closes),
    "sends an answer that nobody asked for": partial(during_a_call, act=answers),
    "closes an idle connection": partial(during_a_call, act=closes),
}
SLOW_RACES: dict[str, Callable[[Scene], str]] = {
    "closes an idle connection when its `Keep-Alive` said": partial(
        during_a_call, act=closes, first=ANNOUNCED, rest=KEEP_ALIVE
    ),
}
"""Of which there are a tenth as many."""


# --- who is measured


def nginx(place: Place, buffering: str) -> list[str]:
    """The command that runs nginx, with uploads handed on as they come or whole."""
    config = filled("races.conf", place.folder, **place._asdict(), buffering=buffering)
    return [program("nginx"), "-e", "stderr", "-c", str(config)]


def haproxy(place: Place) -> list[str]:
    """The command that runs HAProxy."""
    return [program("haproxy"), "-db", "-f", str(filled("haproxy.cfg", place.folder, **place._asdict()))]


def before(checkout: Path, place: Place) -> list[str]:
    """The command that runs the proxy as it is in another checkout, which is installed."""
    _, *arguments = SUBJECT.command(place)
    return ["env", "--chdir", str(checkout), f"{checkout}/.venv/bin/python", *arguments]


def contenders(checkout: Path | None) -> list[Contender]:
    """The proxy, before and after, and its peers."""
    earlier = [Contender("before", partial(before, checkout.resolve()))] if checkout else []
    return [
        *earlier,
        SUBJECT,
        Contender("nginx", partial(nginx, buffering="off")),
        Contender("nginx, uploads whole", partial(nginx, buffering="on")),
        Contender("HAProxy", haproxy),
    ]


def raced(contender: Contender, core: int, tries: int) -> dict[str, str]:
    """What went wrong for each race."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)  # a proxy that never calls the service ends the benchmark
        place = Place(Path(folder), free_port(), listener.getsockname()[1])
        with contender.running(place, [core]):
            scene = Scene(place.port, listener, random.Random(1))
            fast = {name: counted(scene, race, tries) for name, race in RACES.items()}
            return fast | {name: counted(scene, race, tries // 10) for name, race in SLOW_RACES.items()}


def counted(scene: Scene, race: Callable[[Scene], str], tries: int) -> str:
    """How often a race ended with each wrong outcome."""
    found: Counter[str] = Counter()
    for _ in range(tries):
        found[race(scene)] += 1
        scene.close()
    return ", ".join(f"{count} x {kind}" for kind, count in sorted(found.items()) if kind != "right") or "0"


def main() -> None:
    """Count, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.races", description=__doc__)
    parser.add_argument("--tries", type=int, default=200, help="how often each race is run (200)")
    parser.add_argument("--before", type=Path, help="a checkout of another version, to be measured too")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    options = parser.parse_args()
    core, *rest = cores()
    os.sched_setaffinity(0, rest)
    found = {one.name: raced(one, core, options.tries) for one in contenders(options.before)}
    rows = [["the service", "tries", *found]]
    for name in RACES | SLOW_RACES:
        tries = options.tries if name in RACES else options.tries // 10
        rows.append([name, str(tries), *(outcomes[name] for outcomes in found.values())])
    print((figures.markdown if options.markdown else figures.text)(rows))


if __name__ == "__main__":
    main()
