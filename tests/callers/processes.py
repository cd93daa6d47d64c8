"""Processes that do the same thing at the same time."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.synchronize import Barrier

WRITERS = 4
_spawn = multiprocessing.get_context("spawn")


def run_together(work: Callable[[str, int, Barrier], None], path: str) -> None:
    """Run it in several processes, each with a number of its own, and wait for them."""
    together = _spawn.Barrier(WRITERS)
    processes = [_spawn.Process(target=work, args=(path, n, together), daemon=True) for n in range(WRITERS)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * WRITERS
