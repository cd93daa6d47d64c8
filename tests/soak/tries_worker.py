"""One of several proxies that share lost tries: a process that can be killed, and that says what it knows of them."""

import dataclasses
import json
import os
import socket
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from starlette.types import Receive, Scope, Send

from proxy import config
from proxy.callers.ledger.postgresql import PostgresqlServer
from proxy.callers.ledger.sqlite import SqliteFile
from proxy.gateway.app import App
from proxy.gateway.call import tries_threads
from proxy.gateway.call.result import Response
from proxy.gateway.server.server import Server

KNOWN = "/test/known/"
"""The path at which it says what it knows; the key of a call follows."""

FINGERPRINT_KEY = "a key that all of them have"
BEAT, LEASE = 0.5, 4.0


@dataclasses.dataclass
class Order:
    """What such a process is to do.

    Attributes:
        port: on which it listens.
        ledger: the path of a file, or an address.
        skew: seconds by which its clock is wrong.
    """

    port: int
    upstream: str
    folder: str
    ledger: str
    skew: float


class Row(NamedTuple):
    """What such a process knows of a row."""

    owner: str | None
    claimant: str | None
    is_settled: bool


def main(order: Order) -> None:
    """Serve until it is killed."""
    tries_threads.BEAT, tries_threads.LEASE = BEAT, LEASE
    real = time.time
    time.time = lambda: real() + order.skew
    is_address = "://" in order.ledger
    sections: dict[str, Any] = {
        "upstream": {"url": order.upstream, "timeout": 60},
        "callers": {"log": f"{order.folder}/callers.jsonl", "fingerprint_key": FINGERPRINT_KEY},
        "admin": None,
        "ledger": None,  # only lost tries are shared here
    }
    app = App(
        config.load(None, {}, sections),
        now=lambda: datetime.now(UTC) + timedelta(seconds=order.skew),
        ledger=lambda: PostgresqlServer(order.ledger) if is_address else SqliteFile(Path(order.ledger)),
    )

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if not scope.get("path", "").startswith(KNOWN):
            await app(scope, receive, send)
            return
        await app._shared_tries._link.refresh()
        rows = app._shared_tries.known.get(bytes.fromhex(scope["path"].removeprefix(KNOWN)), ())
        known = [app._shared_tries._instance, *(Row(row.owner, row.claimant, row.is_settled) for row in rows)]
        await Response(200, [], json.dumps(known).encode())(scope, receive, send)

    threading.Thread(target=_end_with_parent, daemon=True).start()
    Server(serve, drain=1).run([socket.create_server(("127.0.0.1", order.port))])


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main(Order(**json.loads(sys.argv[1])))
