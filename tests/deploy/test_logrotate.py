import grp
import gzip
import itertools
import json
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.systemd import SERVICE, SETTINGS
from tests.deploy.tools import DEPLOY, adapted
from tests.support.load import TRIGGERED, Load
from tests.support.programs import program
from tests.support.upstream import Upstream
from tests.support.waiting import until
from tests.support.workers import two_workers

FILE = DEPLOY / "systemd" / "logrotate"
ROTATIONS = 3


class Rotation:
    """The real logrotate, with the file of deploy/ on another log."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._settings = log.with_name("rotation.conf")
        user, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
        owner = f"su {SERVICE['User']} {SERVICE['Group']}"
        self._settings.write_text(adapted(FILE, {SETTINGS.callers.log: str(log), owner: f"su {user} {group}"}))
        self._settings.chmod(0o644)

    def rotated(self) -> list[Path]:
        return sorted(self._log.parent.glob(f"{self._log.name}-*"))

    def rotate(self) -> None:
        """Rotate once; the files are named by the second, so it may take a second try."""
        before = len(self.rotated())
        until(lambda: self._ran() and len(self.rotated()) > before)

    def _ran(self) -> bool:
        state = str(self._log.with_name("rotation.state"))
        command = [program("logrotate"), "--force", "--state", state, str(self._settings)]
        ran = subprocess.run(command, check=False, capture_output=True, text=True)
        assert ran.returncode == 0 or "already exists, skipping rotation" in ran.stderr, ran.stderr
        return ran.returncode == 0


def _lines(file: Path) -> list[dict[str, Any]]:
    content = file.read_bytes()
    return [json.loads(line) for line in (gzip.decompress(content) if file.suffix == ".gz" else content).splitlines()]


@pytest.fixture
def rotated(upstream: Upstream, tmp_path: Path) -> Iterator[tuple[Load, list[Path]]]:
    """Calls of two workers that went on while the log was rotated, and the files that came of it, oldest first."""
    with two_workers(upstream.url, tmp_path) as (running, _):
        calls, rotation = Load(running.proxy, [[TRIGGERED]] * 3), Rotation(running.proxy.log)
        with calls.running():
            for _ in range(ROTATIONS):
                calls.more()
                rotation.rotate()
            calls.more()
        yield calls, [*rotation.rotated(), running.proxy.log]


def test_a_rotation_loses_no_call_and_tears_no_line(rotated: tuple[Load, list[Path]], tmp_path: Path) -> None:
    calls, files = rotated
    assert len(files) == ROTATIONS + 1
    assert [file.suffix == ".gz" for file in files] == [True, True, False, False]
    found = [[event["request_id"] for event in _lines(file) if "request_id" in event] for file in files]
    assert all(found)
    assert sorted(itertools.chain(*found)) == sorted(calls.answered)
    command = [sys.executable, "-m", "proxy", "callers", "--config", str(tmp_path / "config.yaml"), "--format"]
    report = json.loads(subprocess.run([*command, "json"], check=True, capture_output=True).stdout)
    assert sum(caller["calls"] for caller in report["callers"]) == len(calls.answered)

    # Its group may go on reading it.
    assert {file.stat().st_mode & 0o777 for file in files} == {0o640}
