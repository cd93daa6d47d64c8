"""Gives memory back to the system after a peak; glibc's malloc keeps what was freed between what is in use."""

import contextlib
import ctypes
import gc
from collections.abc import Callable

MMAP_THRESHOLD = 64 << 10
"""Bytes from which on an allocation is a mapping of its own, which goes back to the system when it is freed.

With 256 KiB, 1,000 bodies of a mebibyte take 340 MiB instead of 150. The price is the processor: a gigabyte of uploads
takes 4.1 s instead of 1.8.
"""

DROP = 64
"""Memory is given back once there are this many connections and calls less, and at most half as many as before."""

_M_MMAP_THRESHOLD = -3  # of mallopt(3)


def give_back_large_allocations() -> None:
    """Fix the threshold, which glibc would raise to the largest allocation that was ever freed."""
    with contextlib.suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, MMAP_THRESHOLD)


def give_back() -> None:
    """Return all free pages to the system. It takes some milliseconds."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)


class MemoryTrimmer:
    """Gives memory back once there is much less to do than before.

    Args:
        trim: gives it back.
    """

    def __init__(self, trim: Callable[[], None] = give_back) -> None:
        self._trim = trim
        self._peak = self._last = 0

    def update(self, load: int) -> None:
        """Called about once a second.

        Args:
            load: how many connections and calls there are.
        """
        is_falling, self._last = load < self._last, load
        self._peak = max(self._peak, load)
        if not is_falling and load <= min(self._peak // 2, self._peak - DROP):
            self._peak = load
            self._trim()
