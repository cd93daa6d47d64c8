"""What a member of the log's group can do, where the proxy runs as the unit runs it."""

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.deploy.isolation import User, isolated
from tests.deploy.systemd import FOLDER, SERVICE, SETTINGS
from tests.deploy.tools import adapted
from tests.support.programs import lack
from tests.support.proxy import Proxy
from tests.support.sockets import free_port
from tests.support.upstream import Upstream
from tests.support.waiting import until

PROXY = User(61001, 61001, 61001)
LEAD = User(61002, 61002, PROXY.group)
ANYBODY = User(61003, 61003, 61003)

CONFIG = "/media/etc/config.yaml"
LOG = "/media/log/callers.jsonl"
READ_ONLY = {
    "callers": ["callers", "--config", CONFIG],
    "caller": ["caller", "nightly", "--config", CONFIG],
    "check": ["check", "--config", CONFIG],
    "lifecycle": ["lifecycle", "--config", CONFIG],
    "ledger check": ["ledger", "check", "--config", CONFIG],
    "scan": ["scan", "/media/etc"],
    "translate": ["translate", "--path", "/acme/shop/ci_workflows/build/trigger"],
}


class Machine(NamedTuple):
    """A machine on which the proxy runs, or has run."""

    folder: Path
    process: "subprocess.Popen[bytes]"

    def run(self, who: User, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*isolated(who, {self.folder: "/media"}), *arguments],
            input="{}",
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            cwd="/",
        )

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """One call was made. The key that the configuration names is closed to the group."""
    if os.geteuid() != 0:
        lack("other users' commands are run by root alone", "sudo make test")
    with tempfile.TemporaryDirectory() as name, Upstream().running() as upstream:
        folder = Path(name)
        folder.chmod(0o755)
        (etc := folder / "etc").mkdir()
        here = {SETTINGS.callers.log: LOG, "/etc/trigger-shim/fingerprint-key": "/media/etc/key"}
        known = "  known: [{name: nightly, agent: 'nightly/*'}]\n"
        (etc / "config.yaml").write_text(adapted(FOLDER / "config.yaml", here) + known)
        (etc / "key").write_text("made-up-key-of-the-test")
        (etc / "key").chmod(0o600)
        os.chown(etc / "key", PROXY.user, PROXY.group)
        (log := folder / "log").mkdir()
        os.chown(log, PROXY.user, PROXY.group)
        log.chmod(int(SERVICE["LogsDirectoryMode"], 8))
        proxy = Proxy("127.0.0.1", free_port(), log / "callers.jsonl")
        variables = {"LISTEN": f"127.0.0.1:{proxy.port}", "ADMIN": "null", "UPSTREAM__URL": upstream.url}
        given = {f"TRIGGER_SHIM__{name}": value for name, value in variables.items()}
        command = [*isolated(PROXY, {folder: "/media"}, SERVICE["UMask"]), "serve", "--config", CONFIG]
        with (folder / "said").open("wb") as said:
            process = subprocess.Popen(command, env={**os.environ, **given}, cwd="/", stdout=said, stderr=said)
        found = Machine(folder, process)
        try:
            until(lambda: _called(proxy))
            until(lambda: "nightly" in found.run(LEAD, *READ_ONLY["callers"]).stdout)
            yield found
        finally:
            process.kill()
            process.wait()


def _called(proxy: Proxy) -> bool:
    with contextlib.suppress(OSError):
        return proxy.call(headers={"User-Agent": "nightly/1"}).status == 200
    return False


@pytest.mark.parametrize("arguments", READ_ONLY.values(), ids=READ_ONLY)
def test_a_member_of_the_group_can_run_what_only_reads(machine: Machine, arguments: list[str]) -> None:
    ran = machine.run(LEAD, *arguments)
    assert ran.returncode == 0, ran.stderr
    assert "error" not in ran.stderr
    if "--config" in arguments and "ledger" not in arguments:
        assert "nightly" in ran.stdout


@pytest.mark.parametrize("name", [name for name in READ_ONLY if CONFIG in READ_ONLY[name]])
def test_anybody_else_is_told_in_a_sentence(machine: Machine, name: str) -> None:
    arguments = READ_ONLY[name]
    ran = machine.run(ANYBODY, *arguments)
    assert "Traceback" not in ran.stderr
    assert "internal" not in ran.stderr
    if arguments[0] in {"callers", "caller", "ledger"}:
        assert ran.returncode in {2, 3}
        assert ran.stderr.startswith("trigger-shim: error: /media/log/callers.")
        assert ran.stderr.count("\n") == 1


def test_it_can_when_the_proxy_has_stopped(machine: Machine) -> None:
    """The ledger's write-ahead log is gone then."""
    machine.stop()
    for name in ("callers", "ledger check"):
        ran = machine.run(LEAD, *READ_ONLY[name])
        assert ran.returncode == 0, ran.stderr
