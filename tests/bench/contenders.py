"""The proxy and its peers: how each is started, and that each does the work."""

import contextlib
import http.client
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.bench.load import AUTHORIZATION, BODY, PATH, PEERS, filled
from tests.bench.running import Running, program, running
from tests.support.sockets import free_port
from tests.support.upstream import Upstream, reply
from tests.support.waiting import until

NJS = Path("/usr/lib/nginx/modules/ngx_http_js_module.so")

RUN = {
    "id": "0198f1a2-7c3d-7e00-9a5b-2f6c1d8e4b90",
    "slug": "128",
    "dates": {"created_at": "2026-11-23T10:00:00Z", "updated_at": "2026-11-23T10:00:00Z"},
    "status": "created",
    "workflows": [],
    "event_type": "manual",
    "error_messages": [],
    "user": {"id": "u1", "slug": "alice"},
}
"""What the service answers to each call."""

LEGACY_RUN = {"flux_id": RUN["id"], "flux_public_id": "128", "trigger_status": "created"}

SUCCESSOR_BODY = {
    "workflows": [{"name": "build", "values": json.loads(BODY)["input"]["values"]}],
    "head": {"branch": "main"},
    "config_revision": {"tag": "v1.0.0"},
}


class Place(NamedTuple):
    """Where a contender runs.

    Attributes:
        folder: for its files.
        port: on which it serves.
        upstream: the port of the service.
    """

    folder: Path
    port: int
    upstream: int

    @property
    def log(self) -> Path:
        """The file in which it notes each call."""
        return self.folder / "callers.jsonl"

    @property
    def begun(self) -> int:
        """How many processes say in there that they have begun."""
        return self.log.read_text().count('"at":"start"') if self.log.exists() else 0


class Contender(NamedTuple):
    """One of those that are measured.

    Attributes:
        name: what it is called in the tables.
        command: starts it in a place.
        sends: the body that it has to send to the service.
        answers: what it has to answer to the caller.
        workers: how many of its processes have to have begun, if those tell.
    """

    name: str
    command: Callable[[Place], list[str]]
    sends: dict[str, Any] = SUCCESSOR_BODY
    answers: dict[str, Any] = LEGACY_RUN
    workers: int = 0

    @contextlib.contextmanager
    def running(self, place: Place, cores: Sequence[int]) -> Iterator[Running]:
        """Have it serve while the block runs."""
        with running(self.name, self.command(place), cores, place.folder) as process:
            process.wait_for(place.port)
            until(lambda: place.begun >= self.workers)
            yield process


def nginx(template: str, place: Place) -> list[str]:
    """The command that runs nginx as a template has it."""
    values = {**place._asdict(), "log": place.log, "peers": PEERS, "run": json.dumps(RUN)}
    return [program("nginx"), "-e", "stderr", "-c", str(filled(template, place.folder, **values))]


def shim(place: Place, workers: int = 1) -> list[str]:
    """The command that runs the proxy itself."""
    config = place.folder / "config.yaml"
    values = {
        "listen": f"127.0.0.1:{place.port}",
        "admin": None,
        "workers": workers,
        "upstream": {"url": f"http://127.0.0.1:{place.upstream}"},
        "callers": {"log": str(place.log)},
    }
    config.write_text(yaml.safe_dump(values), encoding="utf-8")
    return [sys.executable, "-m", "proxy", "serve", "--config", str(config)]


def plain(place: Place) -> list[str]:
    """The command that runs the obvious build."""
    return [sys.executable, str(PEERS / "plain.py"), str(place.port), str(place.upstream), str(place.log)]


SUBJECT = Contender("trigger-shim", shim)

SERVICE = Contender("the service", lambda place: nginx("upstream.conf", place))


def peers() -> list[Contender]:
    """Those that there are on this machine; who is not is named."""
    found = [
        Contender("plain", plain),
        Contender("njs", lambda place: nginx("njs.conf", place)),
        Contender("bare", lambda place: nginx("bare.conf", place), sends=json.loads(BODY), answers=RUN),
    ]
    if NJS.exists():
        return found
    print("njs is left out: apt-get install libnginx-mod-http-js", file=sys.stderr)
    return [peer for peer in found if peer.name != "njs"]


def check(contender: Contender, folder: Path, cores: Sequence[int]) -> None:
    """Have a contender do its work once; where it is not done right, the benchmark ends and says what is wrong."""
    with Upstream(reply(body=json.dumps(RUN).encode())).running() as upstream:
        place = Place(folder, free_port(), int(upstream.url.rpartition(":")[2]))
        with contender.running(place, cores):
            status, body = call(place.port)
            received = [
                (request.method, request.target, request.all("authorization"), json.loads(request.body))
                for request in upstream.received
            ]
            expect(contender, "answers", (status, body), (200, contender.answers))
            successor = ("POST", "/repos/acme/shop/cicd/runs", [AUTHORIZATION], contender.sends)
            expect(contender, "sends", received, [successor])
            until(lambda: PATH in place.log.read_text())


def call(port: int) -> tuple[int, Any]:
    """Send the call of the load once."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    with contextlib.closing(connection):
        connection.request("POST", PATH, BODY, {"Content-Type": "application/json", "Authorization": AUTHORIZATION})
        response = connection.getresponse()
        return response.status, json.load(response)


def expect(contender: Contender, verb: str, found: object, right: object) -> None:
    """End the benchmark where a contender does something else than what is right."""
    if found != right:
        sys.exit(f"{contender.name} {verb} {found}, where {right} is right")
