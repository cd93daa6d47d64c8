"""What the demo of a fleet is played on: a PostgreSQL, a stand-in successor, and two proxies that share a ledger."""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import yaml
from starlette.types import Receive, Scope, Send

from proxy.gateway.server import listeners, server
from proxy.standin.app import StandIn
from tests.callers.lines import DAY, call, log
from tests.support.ledgers import stored_calls
from tests.support.paths import ROOT
from tests.support.postgresql import postgresql
from tests.support.processes import events, running
from tests.support.proxy import Proxy
from tests.support.serving import command, forget_journals
from tests.support.sockets import free_port
from tests.support.waiting import until

ROLES = ROOT / "deploy" / "postgresql" / "roles.sql"
KNOWN = [{"name": "nightly", "agent": "nightly/*"}]
DAYS = 40
"""How far an older log goes back, with a call of `nightly` each day."""


class Service:
    """The stand-in successor, which can be made to answer late.

    Attributes:
        arrived: requests so far.
    """

    def __init__(self) -> None:
        self.arrived = 0
        self._standin = StandIn()
        self._answers = threading.Event()
        self._answers.set()

    @property
    def runs(self) -> int:
        """Runs that were started."""
        return len(self._standin.runs)

    @contextlib.contextmanager
    def slow(self) -> Iterator[None]:
        """Answer no call until the end of the block."""
        self._answers.clear()
        try:
            yield
        finally:
            self._answers.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.arrived += 1
            await asyncio.to_thread(self._answers.wait)
        await self._standin(scope, receive, send)


class Member:
    """One of the proxies.

    Attributes:
        folder: has its configuration, its log, and what it says on standard error.
    """

    def __init__(self, folder: Path, url: str, ledger: str | None) -> None:
        folder.mkdir()
        self.folder, self.proxy = folder, Proxy("127.0.0.1", free_port(), folder / "callers.jsonl")
        callers = {"log": str(self.proxy.log), "known": KNOWN}
        self._command = command(url, folder, listen=self.address, ledger=ledger, callers=callers)

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"{self.proxy.host}:{self.proxy.port}"

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Serve until the end of the block, or until it is killed."""
        said = (self.folder / "stderr").open("wb")
        with said, running(subprocess.Popen(self._command, stderr=said)) as self.process:
            try:
                until(self._is_ready)
                yield
            finally:
                self.process.terminate()
                self.process.wait()
                forget_journals(str(self.proxy.log))

    def _is_ready(self) -> bool:
        with contextlib.suppress(OSError):
            return self.proxy.call("/-/readyz", None, method="GET").status == 200
        assert self.process.poll() is None, (self.folder / "stderr").read_text()
        return False

    def call(self, agent: str) -> int:
        """Trigger the workflow, and return the status."""
        return self.proxy.call(headers={"User-Agent": agent, "Authorization": f"Bearer token-of-{agent}"}).status

    def reload(self, **sections: Any) -> None:
        """Change the configuration, and return when it is in force."""
        file = self.folder / "config.yaml"
        file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **sections}))
        self.process.send_signal(signal.SIGHUP)
        until(lambda: self._said("configuration_reloaded"))
        # There may be several reasons, one after the other, why it cannot be applied yet.
        until(lambda: self._said("freeze_applied", "freeze_not_applied")[-1:] != ["freeze_not_applied"])

    def _said(self, *names: str) -> list[str]:
        """Which of some events it has logged, in their order."""
        found = [line["event"] for line in events((self.folder / "stderr").read_text())]
        return [name for name in found if name in names]


class Stage(NamedTuple):
    """Attributes:
    ledger: its address, for the role of the migration lead.
    elsewhere: an empty folder.
    """

    service: Service
    one: Member
    other: Member
    ledger: str
    elsewhere: Path

    def tries(self, condition: str) -> int:
        """The number of lost tries in the ledger that meet a condition."""
        with psycopg.connect(self.ledger) as connection:
            return sum(1 for _ in connection.execute(f"SELECT id FROM tries WHERE {condition}".encode()))  # noqa: S608

    def counted(self) -> int:
        """Wait until the ledger has all calls, and return their number."""
        calls = DAYS + len(self._records())
        until(lambda: stored_calls(self.ledger) >= calls)
        return calls

    def calls_of(self, caller: str) -> int:
        """The number of calls of a caller who has been there from the first day on."""
        return DAYS + len([record for record in self._records() if record["caller"] == caller])

    def _records(self) -> list[dict[str, Any]]:
        return self.one.proxy.records() + self.other.proxy.records()

    def report(self) -> dict[str, Any]:
        """What `trigger-shim callers` says, but for what depends on the time."""
        report = json.loads(self.run("callers", "--ledger", self.ledger, "--format", "json"))
        return {key: report[key] for key in ("callers", "strangers", "verdict", "total", "retired")}

    def run(self, *arguments: str) -> str:
        """What a command prints, run in the empty folder."""
        return shown(self.elsewhere, *arguments)


def shown(folder: Path, *arguments: str) -> str:
    """What a command prints that must work."""
    program = [str(Path(sys.executable).with_name("trigger-shim")), *arguments]
    ran = subprocess.run(program, cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def ledgers(ledger: str) -> tuple[str | None, str | None]:
    """The ledgers of the two proxies."""
    return ledger, ledger


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """Everything runs until the end of the block, and then nothing of it is left."""
    service, listener = Service(), listeners.loopback()
    url = "http://{}:{}".format(*listener.getsockname())
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trigger-shim-fleet-")))
        (elsewhere := folder / "elsewhere").mkdir()
        address = stack.enter_context(postgresql()).new_database()
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(ROLES.read_bytes())
        ledger, lead = (address.replace("//lead@", f"//{role}@") for role in ("trigger_shim", "trigger_shim_lead"))
        import_older_log(folder, ledger)
        stack.enter_context(server.background(service, listener))
        first, second = ledgers(ledger)
        one, other = Member(folder / "one", url, first), Member(folder / "other", url, second)
        for member in (one, other):
            stack.enter_context(member.serving())
        yield Stage(service, one, other, lead, elsewhere)


def import_older_log(folder: Path, ledger: str) -> None:
    now, older = datetime.now(UTC), folder / "older.jsonl"
    older.write_bytes(log(*(call(now - days * DAY, user_agent="nightly/1") for days in range(DAYS, 0, -1))))
    shown(folder, "ledger", "import", str(older), "--ledger", ledger)
