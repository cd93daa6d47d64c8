"""Appends lines from a thread of its own, so that a disk that stalls stops nobody else."""

import os
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from proxy.output.sink import Sink

STALL = 0.05
"""Seconds for which whoever appends waits until the line is written."""

FLUSH = 2.0
"""Seconds in which, at the end, what still waits may be written."""

LINES = 10_000
"""How many lines may wait."""

BYTES = 8 << 20
"""How many bytes they may have."""

Done = Callable[[], None]

_TURNS = range(10)  # neither a busy machine that lets the thread wait is a stall, nor many lines that get on

_WAKE = (1).to_bytes(8, sys.byteorder)  # what an eventfd is written


class Witness(Protocol):
    """Hears what becomes of the lines, from whichever thread finds out."""

    def settled(self, line: bytes, done: Done | None, problem: str | None) -> None:
        """A line is written, or will never be; said once of each.

        Args:
            line: as it was appended.
            done: what it was appended with.
            problem: why it could not be written; None where it was.
        """

    def stalls(self) -> None:
        """A line takes longer than `STALL`: from now on nobody waits."""

    def goes_on(self, late: int) -> None:
        """Everything is written, so many lines of it late."""


class Writer:
    """Appends lines to a sink in their order, each before whoever appends it goes on, while that takes no time.

    The sink belongs to a thread, which begins with the first line: nothing tells beforehand whether a write to a file
    will wait. Two eventfds wake the two sides: they are written to without the interpreter's lock, so that who wakes up
    need not wait for that, too, as with a lock or a queue.

    Args:
        sink: where the lines go; closed at the end.
        witness: hears what becomes of them.

    Raises:
        OSError: on construction, where no descriptors are left.
    """

    def __init__(self, sink: Sink, witness: Witness) -> None:
        self._sink = sink
        self._witness = witness
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._go, self._back = os.eventfd(0), os.eventfd(0)
        self._poll = select.epoll()
        self._poll.register(self._back, select.EPOLLIN | select.EPOLLET)  # each write to it is told once, unread
        self._wait = self._poll.poll
        self._queue: deque[tuple[bytes, Done | None]] = deque()  # the first is being written
        self._came = self._went = 0  # bytes; each is counted by one thread
        self._late = 0
        self._writing, self._took = False, 0.0
        self._prompt = False  # the thread is there, and keeps up
        self._told = self._closed = self._given_up = False

    def append(self, line: bytes, done: Done | None = None) -> None:
        """Hand a line over, and wait for it as `wait` does; not for two threads at once.

        Args:
            line: with its newline.
            done: goes to the witness with it.
        """
        self.put(line, done)
        self.wait()

    def put(self, line: bytes, done: Done | None = None) -> None:
        """Hand a line over that `wait` is called for soon: for many lines, the thread is woken once."""
        if not self._prompt:
            self._keep(line, done)
            return
        self._queue.append((line, done))
        self._came += len(line)

    def wait(self) -> None:
        """Have everything written, unless it stalls."""
        queue = self._queue
        if not (self._prompt and queue):
            return
        os.write(self._go, _WAKE)
        for _ in _TURNS:
            left = len(queue)
            if not left:
                return
            if not self._wait(STALL, 1) and self._writing and len(queue) == left:
                break
        self._fall_behind()

    def close(self) -> None:
        """Write what waits, in no more than `FLUSH`; what is left then is settled as it is."""
        if self._closed:
            return
        with self._lock:
            self._prompt, self._closed = False, True
        if self._thread is not None:
            os.write(self._go, _WAKE)
            self._thread.join(FLUSH)
            if self._thread.is_alive():
                self._give_up()
                return
        self._sink.close()
        self._poll.close()
        os.close(self._go)
        os.close(self._back)

    def _give_up(self) -> None:
        """Leave the thread to itself, with what it is at."""
        with self._lock:
            self._given_up, self._told = True, False
        for line, done in self._queue:
            self._witness.settled(line, done, "it stalls")

    def _keep(self, line: bytes, done: Done | None) -> None:
        """Have a line wait behind others, or begin with it."""
        if self._closed:
            self._witness.settled(line, done, "it is closed")
        elif self._thread is None:
            self._begin(line, done)
        elif len(self._queue) >= LINES or self._came - self._went + len(line) > BYTES:
            self._witness.settled(line, done, "it stalls, and too much waits already")
        else:
            self._late += 1
            self._queue.append((line, done))
            self._came += len(line)
            os.write(self._go, _WAKE)

    def _begin(self, line: bytes, done: Done | None) -> None:
        thread = threading.Thread(target=self._run, name="writer", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # there may be no more threads
            self._witness.settled(line, done, str(error))
            return
        self._thread, self._prompt = thread, True
        self.put(line, done)

    def _fall_behind(self) -> None:
        self._prompt = False  # before the look at the queue: the thread empties it first, and looks at this afterwards
        with self._lock:
            if self._queue:
                self._told, self._late = True, len(self._queue)
                self._witness.stalls()
            else:
                self._prompt = True

    def _run(self) -> None:
        over = False
        while not over:
            os.read(self._go, 8)
            while self._queue and not self._given_up:
                self._write(*self._queue[0])
            os.write(self._back, _WAKE)
            over = not self._prompt and self._catch_up()

    def _write(self, line: bytes, done: Done | None) -> None:
        problem = None
        self._writing, began = True, time.monotonic()
        try:
            self._sink.append(line)
        except OSError as error:
            problem = error.strerror or str(error)
        self._writing, self._took = False, time.monotonic() - began
        with self._lock:
            if not self._given_up:
                self._went += len(line)
                self._witness.settled(line, done, problem)
                self._queue.popleft()

    def _catch_up(self) -> bool:
        """Nothing waits any more. Returns whether nothing will."""
        with self._lock:
            self._prompt = self._took < STALL and not self._closed
            if self._told:
                self._told = False
                self._witness.goes_on(self._late)
            return self._closed and (self._given_up or not self._queue)
