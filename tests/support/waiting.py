"""Waits for a condition, on however slow a machine."""

import time
from collections.abc import Callable
from typing import Any

PATIENCE = 60
"""Seconds that a test waits for something that must happen: a busy machine takes ten times as long as an idle one."""


def until(condition: Callable[[], Any]) -> Any:
    """Wait until a condition is true, and return its value."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)
    return found
