"""Processes that a test starts."""

import contextlib
import json
import signal
import subprocess
from collections.abc import Iterator
from typing import IO, Any, AnyStr

from tests.support.waiting import PATIENCE

_EXPECTED = {"listening", "caller_log_stalled", "caller_log_recovered"}
_BUSY = ("trigger-shim: warning: caller log stalled: ", "trigger-shim: caller log recovered ")


@contextlib.contextmanager
def running(process: "subprocess.Popen[AnyStr]") -> Iterator["subprocess.Popen[AnyStr]"]:
    """Terminate a process at the end of the block; `Popen` alone would wait for it, even if the block fails."""
    with process:
        try:
            yield process
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
            process.kill()


@contextlib.contextmanager
def heeding(number: signal.Signals) -> Iterator[None]:
    """Processes that are started in this block heed a signal: what a shell runs in the background ignores some."""
    before = signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(number, before)


def events(printed: str | bytes) -> list[dict[str, Any]]:
    """The events that a proxy has logged as JSON, but for where it listens, and for slow writes on a busy machine."""
    found = [json.loads(line) for line in printed.splitlines()]
    return [event for event in found if event["event"] not in _EXPECTED]


def shown_lines(shown: bytes) -> list[str]:
    """The lines that a proxy has shown on a terminal, but for those about slow writes on a busy machine."""
    return [line for line in shown.decode().splitlines() if not line.startswith(_BUSY)]


def next_event(stream: IO[Any]) -> dict[str, Any]:
    """Read the next of these events."""
    while True:
        line = stream.readline()
        assert line, "it has logged no other event"
        for event in events(line):
            return event
