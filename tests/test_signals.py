"""Signals that arrive while the proxy starts."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.processes import events, next_event, running
from tests.support.programs import lack, program
from tests.support.serving import command
from tests.support.waiting import until

# Sends the starting process a signal from within, at the first audit event that begins so.
SENDS = """
import os, pathlib, sys
moment, number = os.environ["MOMENT"], int(os.environ["NUMBER"])
def hear(event, arguments):
    global moment
    if moment and f"{event} {arguments[:1]}".startswith(moment):
        moment = ""
        pathlib.Path(__file__).with_name("arrived").write_text(str(arguments[0]))
        os.kill(os.getpid(), number)
if "proxy" in sys.orig_argv:
    sys.addaudithook(hear)
"""

# Has the starting process hang where no handler in Python would run: it waits for a lock that it holds itself.
HANGS = """
import ctypes, pathlib, sys
def hear(event, arguments):
    if event == "open" and str(arguments[0]).endswith("config.yaml"):
        pathlib.Path(__file__).with_name("arrived").touch()
        lock = ctypes.create_string_buffer(64)
        for _ in range(2):
            ctypes.CDLL(None).pthread_mutex_lock(lock)
if "proxy" in sys.orig_argv:
    sys.addaudithook(hear)
"""

IMPORTS_COMMANDS = "import ('proxy.cli'"
IMPORTS_SERVER = "import ('proxy.gateway.app'"
BINDS = "socket.bind"
MAKES_JOURNAL = "tempfile.mkstemp"  # in the loop
MAKES_SHARED_FOLDER = "tempfile.mkdtemp"
STARTS_WORKER = "subprocess.Popen"


def run(folder: Path, hook: str, command: Sequence[str], **environment: str) -> "subprocess.Popen[str]":
    """A command whose interpreter goes through a hook."""
    (folder / "sitecustomize.py").write_text(hook)
    command = ["env", "--default-signal", *command]  # whatever runs the tests may ignore some
    found = {**os.environ, "PYTHONPATH": str(folder), **environment}
    null, pipe = subprocess.DEVNULL, subprocess.PIPE
    return subprocess.Popen(command, stdin=null, stdout=pipe, stderr=pipe, text=True, env=found)


def serve(folder: Path, workers: int = 1) -> list[str]:
    return command("http://upstream.example", folder, "proxy", workers=workers)


def sent(moment: str, number: signal.Signals) -> dict[str, str]:
    return {"MOMENT": moment, "NUMBER": str(int(number))}


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """How a process has ended, and what it said."""
    with running(process):
        out, errors = process.communicate(timeout=60)
    return process.returncode, out, "".join(str(event) for event in events(errors))


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (signal.SIGINT, IMPORTS_COMMANDS),
        (signal.SIGTERM, IMPORTS_SERVER),
        (signal.SIGTERM, BINDS),
        (signal.SIGTERM, MAKES_JOURNAL),
    ],
)
def test_a_signal_while_it_starts_ends_it_too(tmp_path: Path, number: signal.Signals, moment: str) -> None:
    assert ended(run(tmp_path, SENDS, serve(tmp_path), **sent(moment, number))) == (0, "", "")


@pytest.mark.parametrize("moment", [MAKES_SHARED_FOLDER, STARTS_WORKER])
def test_a_signal_before_the_workers_start_ends_it_and_leaves_nothing(tmp_path: Path, moment: str) -> None:
    assert ended(run(tmp_path, SENDS, serve(tmp_path, 2), **sent(moment, signal.SIGTERM))) == (0, "", "")
    if moment == MAKES_SHARED_FOLDER:
        assert not Path((tmp_path / "arrived").read_text()).exists()


def test_a_signal_while_it_starts_ends_the_first_process_of_a_container(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        lack("only root can make a namespace", "sudo make test")
    container = [program("unshare"), "--pid", "--fork", "--kill-child", *serve(tmp_path)]
    assert ended(run(tmp_path, SENDS, container, **sent(IMPORTS_COMMANDS, signal.SIGTERM))) == (0, "", "")


def test_a_signal_ends_a_start_that_hangs(tmp_path: Path) -> None:
    with running(run(tmp_path, HANGS, serve(tmp_path))) as process:
        until((tmp_path / "arrived").exists)
        process.terminate()
        assert ended(process) == (0, "", "")


@pytest.mark.parametrize("moment", [IMPORTS_COMMANDS, BINDS])
def test_a_hangup_while_it_starts_leads_to_a_reload(tmp_path: Path, moment: str) -> None:
    with running(run(tmp_path, SENDS, serve(tmp_path), **sent(moment, signal.SIGHUP))) as process:
        assert process.stderr is not None
        assert next_event(process.stderr)["event"] == "configuration_reloaded"
        process.terminate()
        assert ended(process) == (0, "", "")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGHUP, -1), (signal.SIGINT, 130)])
def test_another_command_that_starts_is_ended_as_by_any_signal(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    translate = [sys.executable, "-m", "proxy", "translate"]
    assert ended(run(tmp_path, SENDS, translate, **sent(IMPORTS_COMMANDS, number))) == (status, "", "")
