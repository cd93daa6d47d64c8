"""The README's part on phases and dates: its configuration over the month's log (month.py), and what then comes out."""

import json
import os
import re
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxy import config
from proxy.gateway.app import App
from proxy.gateway.server import listeners, server
from tests.support.paths import ROOT
from tests.support.wire import Wire
from tests.system.month import END, KEY

README = (ROOT / "proxy/withdrawn/README.md").read_text(encoding="utf-8")
PART = README.partition("\n## Phases and dates\n")[2]
SHOWN = re.findall(r"^\$ (trigger-shim (?:check|lifecycle).*)\n((?:.*\n)*?)```", PART, re.MULTILINE)
POLICY = re.findall(r"```yaml\n(.*?)```", PART, re.DOTALL)[0]
REFUSAL = re.findall(r"```http\n(.*?)```", PART, re.DOTALL)[0]


@pytest.fixture(scope="module")
def planned(month: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the README's configuration, beside which there is the month's log."""
    folder = tmp_path_factory.mktemp("planned")
    (folder / "callers.jsonl").symlink_to(month / "callers.jsonl")
    (folder / "config.yaml").write_text(POLICY)
    return folder


def at_the_end(folder: Path, command: str) -> str:
    """What a shell shows of a command, at the end of the month and in Berlin."""
    tool = folder / "trigger-shim"
    then = f"datetime.fromisoformat({END.isoformat()!r})"
    tool.write_text(
        f"#!{sys.executable}\nimport sys\nfrom datetime import datetime\nfrom proxy import cli\n"
        "from proxy.commands import log_options\n"
        f"log_options.now = lambda: {then}\nsys.exit(cli.main())\n"
    )
    tool.chmod(0o755)
    variables = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "TZ": "Europe/Berlin",
        "TRIGGER_SHIM__CALLERS__LOG": "callers.jsonl",
        "TRIGGER_SHIM__CALLERS__FINGERPRINT_KEY": KEY,
    }
    ran = subprocess.run(
        ["bash", "-c", f"{{ {command}; }} 2>&1"],
        cwd=folder,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return ran.stdout


def test_the_readme_shows_check_and_lifecycle() -> None:
    assert [command.split()[1] for command, _ in SHOWN] == ["check", "check", "lifecycle"]


@pytest.mark.parametrize(("command", "output"), SHOWN)
def test_the_output_in_the_readme_is_real(planned: Path, command: str, output: str) -> None:
    assert at_the_end(planned, command) == output


def test_the_refusal_in_the_readme_is_real(planned: Path, tmp_path: Path) -> None:
    assert refused(planned / "config.yaml", tmp_path) == REFUSAL


def refused(file: Path, folder: Path) -> str:
    """The answer to a call in the README's brownout, without what is another one in each answer."""
    public = listeners.loopback()
    settings = config.load(str(file), {"TRIGGER_SHIM__CALLERS__LOG": str(folder / "log")})
    brownout = datetime(2026, 12, 1, 10, 3, tzinfo=UTC)
    with (
        server.background(App(settings, now=lambda: brownout), public),
        Wire(socket.create_connection(public.getsockname())) as caller,
    ):
        caller.send(
            b"POST /acme/shop/ci_workflows/build/trigger HTTP/1.1\r\nHost: shim.example:8080\r\n"
            b"User-Agent: nightly/3.1\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
        )
        head, _, body = caller.rest().decode().partition("\r\n\r\n")
    body = json.dumps(json.loads(re.sub(r'("request_id":)"\w+"', r'\1"…"', body)), indent=1, ensure_ascii=False)
    kept = [line for line in head.splitlines() if not re.match("x-request-id|content-length|date|connection", line)]
    return "\n".join([*kept, "", body, ""])
