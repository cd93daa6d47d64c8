"""Appends lines from a thread of its own, so that a stalled disk blocks nobody else."""

import enum
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
"""Seconds that a caller of `Writer.append` waits for its line to be written."""

FLUSH = 2.0
"""Seconds that `Writer.close` waits for the lines that are left."""

LINES = 10_000
"""How many lines may be queued."""

BYTES = 8 << 20
"""How many bytes may be queued."""

Done = Callable[[bool], None]
"""What a line is appended with; the observer calls it with whether the line was written."""

# As long as lines get written, or the thread is not in a write, wait this many times before calling it a stall.
_TURNS = range(10)

_WAKE = (1).to_bytes(8, sys.byteorder)  # added to an eventfd's counter


class State(enum.Enum):
    """What a writer does with the next line."""

    NEW = "starts the thread, then writes it synchronously"
    SYNCHRONOUS = "waits until it is written"
    STALLED = "queues it; the stall was reported"
    SLOW = "queues it; the queue is empty, but the last write was slow"
    CLOSED = "refuses it; the thread writes what is left"
    ABANDONED = "refuses it; the thread hangs in a write"


class Observer(Protocol):
    """Called with what happens to the lines, from either thread."""

    def on_written(self, line: bytes, done: Done | None, problem: str | None) -> None:
        """Called once per line, after it was written or failed.

        Args:
            line: as it was appended.
            done: what the line was appended with.
            problem: why it could not be written; None if it was written.
        """

    def on_stall(self) -> None:
        """Called when a line takes longer than `STALL`; from now on lines are queued."""

    def on_recovery(self, late: int) -> None:
        """Called when the queue is empty again; `late` lines were written late."""


class Writer:
    """Appends lines to a sink in order: synchronously, unless the disk stalls.

    A thread owns the sink, because nobody can know in advance whether a write to a file will block. It starts with the
    first line. Each side wakes the other with an eventfd: writing to it releases the interpreter's lock, so the woken
    side can go on at once. A lock or a queue would make it wait.

    Args:
        sink: where the lines go; closed at the end.
        observer: called with what happens to the lines.

    Attributes:
        state: what happens to the next line.

    Raises:
        OSError: on construction, if no file descriptors are left.
    """

    def __init__(self, sink: Sink, observer: Observer) -> None:
        self.state = State.NEW
        self._sink = sink
        self._observer = observer
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._work_event, self._done_event = os.eventfd(0), os.eventfd(0)
        self._poll = select.epoll()
        # Edge-triggered: each write is reported once, so nobody has to read the counter.
        self._poll.register(self._done_event, select.EPOLLIN | select.EPOLLET)
        self._wait = self._poll.poll
        self._queue: deque[tuple[bytes, Done | None]] = deque()  # the first line is the one being written
        self._bytes_in = self._bytes_out = 0  # each is counted by one thread only
        self._late = 0  # lines that a stall has delayed
        self._is_writing, self._last_write_took = False, 0.0

    def append(self, line: bytes, done: Done | None = None) -> None:
        """Queue a line and wait for it as `wait` does. Only one thread may call this at a time.

        Args:
            line: with its newline.
            done: passed to the observer with it.
        """
        self.put(line, done)
        self.wait()

    def put(self, line: bytes, done: Done | None = None) -> None:
        """Queue a line for the next `wait`, so that the thread is woken once for many lines."""
        if self.state is not State.SYNCHRONOUS:
            self._enqueue(line, done)
            return
        self._queue.append((line, done))
        self._bytes_in += len(line)

    def wait(self) -> None:
        """Wait until every line is written, unless the disk stalls."""
        queue = self._queue
        if self.state is not State.SYNCHRONOUS or not queue:
            return
        os.write(self._work_event, _WAKE)
        for _ in _TURNS:
            left = len(queue)
            if not left:
                return
            if not self._wait(STALL, 1) and self._is_writing and len(queue) == left:
                break
        self._fall_behind()

    def close(self) -> None:
        """Write the lines that are left, for up to `FLUSH` seconds, and report the others as failed."""
        if self.state in {State.CLOSED, State.ABANDONED}:
            return
        with self._lock:
            self.state = State.CLOSED
        if self._thread is not None:
            os.write(self._work_event, _WAKE)
            self._thread.join(FLUSH)
            if self._thread.is_alive():
                self._abandon()
                return
        self._sink.close()
        self._poll.close()
        os.close(self._work_event)
        os.close(self._done_event)

    def _abandon(self) -> None:
        """Give up on the thread and on the line that it is writing."""
        with self._lock:
            self.state, self._late = State.ABANDONED, 0
        for line, done in self._queue:
            self._observer.on_written(line, done, "it stalls")

    def _enqueue(self, line: bytes, done: Done | None) -> None:
        """Queue a line without waiting for it, unless it is the first one."""
        if self.state in {State.CLOSED, State.ABANDONED}:
            self._observer.on_written(line, done, "it is closed")
        elif self.state is State.NEW:
            self._start(line, done)
        elif len(self._queue) >= LINES or self._bytes_in - self._bytes_out + len(line) > BYTES:
            self._observer.on_written(line, done, "it stalls, and the queue is full")
        else:
            self._late += self.state is State.STALLED
            self._queue.append((line, done))
            self._bytes_in += len(line)
            os.write(self._work_event, _WAKE)

    def _start(self, line: bytes, done: Done | None) -> None:
        thread = threading.Thread(target=self._run, name="writer", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the system allows no more threads
            self._observer.on_written(line, done, str(error))
            return
        self._thread, self.state = thread, State.SYNCHRONOUS
        self.put(line, done)

    def _fall_behind(self) -> None:
        # Set before looking at the queue: the thread empties the queue first, and looks at the state afterwards.
        self.state = State.SLOW
        with self._lock:
            if self._queue:
                self.state, self._late = State.STALLED, len(self._queue)
                self._observer.on_stall()
            else:
                self.state = State.SYNCHRONOUS

    # --- in the thread

    def _run(self) -> None:
        over = False
        while not over:
            os.read(self._work_event, 8)
            while self._queue and self.state is not State.ABANDONED:
                self._write(*self._queue[0])
            os.write(self._done_event, _WAKE)
            over = self.state is not State.SYNCHRONOUS and self._catch_up()

    def _write(self, line: bytes, done: Done | None) -> None:
        problem = None
        self._is_writing, began = True, time.monotonic()
        try:
            self._sink.append(line)
        except OSError as error:
            problem = error.strerror or str(error)
        self._is_writing, self._last_write_took = False, time.monotonic() - began
        with self._lock:
            if self.state is not State.ABANDONED:
                self._bytes_out += len(line)
                self._observer.on_written(line, done, problem)
                self._queue.popleft()

    def _catch_up(self) -> bool:
        """Go on after the queue was emptied. Returns whether the thread may end."""
        with self._lock:
            if self.state not in {State.CLOSED, State.ABANDONED}:
                self.state = State.SYNCHRONOUS if self._last_write_took < STALL else State.SLOW
            late, self._late = self._late, 0
            if late:
                self._observer.on_recovery(late)
            return self.state is State.ABANDONED or (self.state is State.CLOSED and not self._queue)
