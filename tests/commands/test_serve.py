import contextlib
import http.client
import json
import os
import pty
import re
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.commands.running import COMMAND, Ran, environment
from tests.support.processes import events, running, shown_lines

SECRET = "s3cret-S3cret-s3cret"


@contextlib.contextmanager
def serving(
    *arguments: str, stderr: int = subprocess.PIPE, before: Sequence[str] = (), **variables: str
) -> Iterator[subprocess.Popen[str]]:
    """The command, once it serves: the caller log's first line is the heartbeat of the start."""
    given = environment(TRIGGER_SHIM__CALLERS__LOG='"-"', TRIGGER_SHIM__CALLERS__FINGERPRINT_KEY=SECRET, **variables)
    command = [*before, COMMAND, "serve", *arguments]
    with running(subprocess.Popen(command, env=given, stdout=subprocess.PIPE, stderr=stderr, text=True)) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "heartbeat"
        yield process


def test_serve_says_only_where_it_listens_and_ends_with_0_when_it_is_stopped() -> None:
    with serving("--listen", "127.0.0.1:0", TRIGGER_SHIM__ADMIN="127.0.0.1:0") as process:
        process.send_signal(signal.SIGTERM)

        _, err = process.communicate(timeout=60)

    assert process.returncode == 0
    assert events(err) == []
    assert json.loads(err.splitlines()[0])["event"] == "listening"


def test_serve_tells_a_terminal_where_it_listens_forwards_and_logs() -> None:
    terminal, inner = pty.openpty()
    os.set_blocking(terminal, False)
    flags = ("--listen", "127.0.0.1:0", "--upstream", "http://127.0.0.1:9")
    with serving(*flags, stderr=inner, TRIGGER_SHIM__ADMIN="null") as process:
        [line] = shown_lines(os.read(terminal, 4096))
        port = re.search(r" url=http://127\.0\.0\.1:(\d+) upstream=http://127\.0\.0\.1:9 caller_log=- ", line)
        assert port is not None
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", int(port[1]), timeout=20)) as connection:
            connection.request("GET", "/-/healthz")
            assert connection.getresponse().status == 200

        process.send_signal(signal.SIGINT)

        assert process.wait(timeout=60) == 0
    os.close(terminal)
    os.close(inner)


def test_events_are_json_on_a_terminal_if_the_configuration_says_so() -> None:
    terminal, inner = pty.openpty()
    with serving("--listen", "127.0.0.1:0", stderr=inner, TRIGGER_SHIM__ADMIN="null", TRIGGER_SHIM__LOG__FORMAT="json"):
        shown = os.read(terminal, 4096)
    assert events(shown) == []
    event = json.loads(shown.splitlines()[0])
    assert (event["level"], event["event"], event["caller_log"]) == ("info", "listening", "-")
    os.close(terminal)
    os.close(inner)


def test_a_closed_standard_error_stops_no_start() -> None:
    closes = ("sh", "-c", 'exec "$@" 2>&-', "sh")
    with serving("--listen", "127.0.0.1:0", before=closes, TRIGGER_SHIM__ADMIN="null") as process:
        process.terminate()
        assert process.wait(timeout=60) == 0


def ran_serve(*arguments: str, **variables: str) -> Ran:
    command = [COMMAND, "serve", "--listen", "127.0.0.1:0", *arguments]
    ran = subprocess.run(command, env=environment(**variables), capture_output=True, text=True, check=False, timeout=60)
    return Ran(ran.returncode, ran.stdout, ran.stderr)


def refused_to_serve(*arguments: str, **variables: str) -> str:
    ran = ran_serve(*arguments, **variables)
    assert (ran.status, ran.out) == (1, "")
    return ran.said


def message(said: str, name: str) -> str:
    """The message of the only event on standard error."""
    [event] = events(said)
    assert (event["level"], event["event"]) == ("error", name)
    return str(event["message"])


@pytest.mark.parametrize("key", ["listen", "admin"])
def test_a_port_in_use_is_said_in_one_line_with_its_key(key: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "{}:{}".format(*taken.getsockname())
        variables = {"TRIGGER_SHIM__ADMIN": address if key == "admin" else "null"}

        said = refused_to_serve(*(["--listen", address] if key == "listen" else []), **variables)

    assert message(said, "serve_failed").startswith(f"{key}: {address}: ")


def test_a_caller_log_that_cannot_be_opened_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    said = refused_to_serve(TRIGGER_SHIM__ADMIN="null", TRIGGER_SHIM__CALLERS__LOG="file/inside/callers.jsonl")

    assert message(said, "serve_failed").startswith("callers.log: ")


def test_events_are_for_people_on_a_pipe_if_the_configuration_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    said = refused_to_serve(
        TRIGGER_SHIM__ADMIN="null",
        TRIGGER_SHIM__CALLERS__LOG="file/callers.jsonl",
        TRIGGER_SHIM__LOG__FORMAT="console",
    )

    assert said.startswith("trigger-shim: error: serve failed: callers.log: ")


def test_a_bad_configuration_stops_the_start() -> None:
    ran = ran_serve("--listen", "nowhere")

    assert (ran.status, ran.out) == (2, "")
    assert message(ran.said, "configuration_invalid").startswith("listen: ")
