"""Waiting for what must happen, on however slow a machine."""

import time
from collections.abc import Callable
from typing import Any

PATIENCE = 60
"""Seconds that a test waits for what is bound to come: a busy machine takes ten times as long as an idle one."""


def until(condition: Callable[[], Any]) -> Any:
    """Wait for what is bound to come, and fail where it does not."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.005)
    return found
