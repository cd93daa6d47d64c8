"""Processes that a test starts."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from typing import Any, AnyStr

from tests.support.waiting import PATIENCE


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


def events(printed: str | bytes) -> list[dict[str, Any]]:
    """The events that a proxy has logged as JSON."""
    return [json.loads(line) for line in printed.splitlines()]
