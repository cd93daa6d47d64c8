"""Other programs that a test runs."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from typing import Any, AnyStr

PATIENCE = 60
"""Seconds in which a program may end by itself once it is told to."""


@contextlib.contextmanager
def running(process: "subprocess.Popen[AnyStr]") -> Iterator["subprocess.Popen[AnyStr]"]:
    """End a process with the block: `Popen` alone would wait for it, for ever where the block fails."""
    with process:
        try:
            yield process
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
            process.kill()


def events(printed: str | bytes) -> list[dict[str, Any]]:
    """What a proxy logged on a standard error that is no terminal."""
    return [json.loads(line) for line in printed.splitlines()]
