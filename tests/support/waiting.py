"""Waits for a condition, on however slow a machine."""

import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

PATIENCE = 60
"""Seconds that a test waits for something that must happen: a busy machine takes ten times as long as an idle one."""


is_in_vain = threading.Event()
"""Set if what a test does was left out, and so may never happen: see `quick`."""


def until(condition: Callable[[], Any]) -> Any:
    """Wait until a condition is true, and return its value.

    Raises:
        AssertionError: it never was; with what each other thread does instead.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        began = time.monotonic()
        if found := condition():
            return found
        is_over = time.monotonic() > deadline or is_in_vain.is_set()
        assert not is_over, f"it never happened:\n{_other_threads()}"
        # What is waited for needs the processor more than a condition that takes long.
        time.sleep(max(0.005, 2 * (time.monotonic() - began)))


def _other_threads() -> str:
    stacks = sys._current_frames()  # CPython's, as is the debugger's way to them
    return "\n".join(
        f"{thread.name}:\n{''.join(traceback.format_stack(stacks[thread.ident], limit=8))}"
        for thread in threading.enumerate()
        if thread is not threading.current_thread() and thread.ident in stacks
    )
