import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proxy.output import writer
from proxy.output.writer import Done, State, Writer
from tests.support.paths import ROOT
from tests.support.waiting import until

LATE = 60.0
"""Seconds in which what is bound to come has come."""

SOON = 0.05
"""Seconds after which a disk that stalls is noticed."""


class Disk:
    """A sink that stalls when it is told to, and is not taken to do so before, however busy the machine is.

    Attributes:
        lines: what was written.
        error: what a write ends with.
        closed: whether it was.
    """

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.error: OSError | None = None
        self.closed = False
        self._most = LATE
        self._runs = threading.Event()
        self._runs.set()
        self._reached = threading.Event()

    def append(self, line: bytes) -> None:
        self._reached.set()
        assert self._runs.wait(LATE)
        if self.error is not None:
            raise self.error
        self.lines.append(line)

    def close(self) -> None:
        self.closed = True

    def takes_at_most(self, seconds: float) -> None:
        """What takes longer is a stall from now on."""
        writer.STALL = self._most = seconds

    def stall(self) -> None:
        writer.STALL = min(SOON, self._most)
        self._reached.clear()
        self._runs.clear()

    def wait_until_it_is_reached(self) -> None:
        assert self._reached.wait(LATE)

    def go_on(self) -> None:
        writer.STALL = self._most
        self._runs.set()


class Told:
    """What an observer was told.

    Attributes:
        written: each with the problem that it had.
        said: on the stall.
        before_written: called before each of these lines is recorded.
    """

    def __init__(self) -> None:
        self.written: list[tuple[bytes, str | None]] = []
        self.said: list[str] = []
        self.before_written: Callable[[], object] = lambda: None

    def on_written(self, line: bytes, done: Done | None, problem: str | None) -> None:
        self.before_written()
        self.written.append((line, problem))
        if done is not None:
            done(problem is None)

    def on_stall(self) -> None:
        self.said.append("stall")

    def on_recovery(self, late: int) -> None:
        self.said.append(f"recovery, {late} late")


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    monkeypatch.setattr(writer, "STALL", LATE)
    monkeypatch.setattr(writer, "FLUSH", LATE)
    return Disk()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def lines(disk: Disk, told: Told) -> Iterator[Writer]:
    opened = Writer(disk, told)
    yield opened
    disk.go_on()
    opened.close()


def numbered(first: int, end: int) -> list[bytes]:
    return [b"%d\n" % number for number in range(first, end)]


def fine(*lines: bytes) -> list[tuple[bytes, str | None]]:
    return [(line, None) for line in lines]


# --- while the disk keeps up


def test_each_line_is_written_and_told_before_append_returns(lines: Writer, disk: Disk, told: Told) -> None:
    for count, line in enumerate(numbered(0, 50), 1):
        lines.append(line)
        assert (len(disk.lines), len(told.written)) == (count, count)

    assert disk.lines == numbered(0, 50)
    assert told.written == fine(*numbered(0, 50))


def test_a_line_that_cannot_be_written_is_called_with_the_reason(lines: Writer, disk: Disk, told: Told) -> None:
    disk.error = OSError(28, "No space left on device")
    lines.append(b"1\n")
    disk.error = OSError("3 of 5 bytes written")
    lines.append(b"2\n")
    disk.error = None
    lines.append(b"3\n")

    assert told.written == [
        (b"1\n", "No space left on device"),
        (b"2\n", "3 of 5 bytes written"),
        (b"3\n", None),
    ]


def test_a_line_is_called_with_what_it_was_appended_with(lines: Writer) -> None:
    called_with: list[int] = []
    lines.append(b"1\n", lambda _: called_with.append(1))
    lines.append(b"2\n")
    lines.append(b"3\n", lambda _: called_with.append(3))

    assert called_with == [1, 3]


def test_lines_that_are_put_are_written_in_order_when_they_are_waited_for(
    lines: Writer, disk: Disk, told: Told
) -> None:
    lines.append(b"0\n")
    for line in numbered(1, 50):
        lines.put(line)
    assert disk.lines == [b"0\n"]

    lines.wait()
    assert disk.lines == numbered(0, 50)
    assert told.written == fine(*numbered(0, 50))
    lines.append(b"50\n")
    assert disk.lines == numbered(0, 51)


def test_a_line_that_is_appended_takes_along_what_was_put_before(lines: Writer, disk: Disk) -> None:
    lines.put(b"0\n")
    lines.append(b"1\n")
    lines.wait()

    assert disk.lines == numbered(0, 2)


def test_many_lines_that_get_on_are_no_stall(lines: Writer, disk: Disk, told: Told) -> None:
    append, begun, turn = disk.append, threading.Semaphore(0), threading.Semaphore(0)

    def in_turn(line: bytes) -> None:
        begun.release()
        assert turn.acquire(timeout=LATE)
        append(line)

    def one_more(_seconds: float, _most: int) -> list[tuple[int, int]]:
        """The time of a stall passes, in which one line is written, and the next one begins."""
        left = len(lines._queue)
        turn.release()
        assert left == 1 or begun.acquire(timeout=LATE)
        until(lambda: len(lines._queue) < left)
        return []

    disk.append = in_turn  # type: ignore[method-assign]
    lines._wait = one_more  # type: ignore[assignment]
    for line in numbered(0, 6):
        lines.put(line)
    lines.wait()

    assert disk.lines == numbered(0, 6)
    assert told.said == []


def test_an_observer_that_takes_its_time_is_no_stall(lines: Writer, told: Told) -> None:
    is_told, goes_on = threading.Event(), threading.Event()

    def takes_its_time() -> None:
        is_told.set()
        assert goes_on.wait(LATE)

    def time_passes(_seconds: float, _most: int) -> list[tuple[int, int]]:
        """The time of a stall passes while the observer is at work; after the second time it is done."""
        assert is_told.wait(LATE)
        if next(is_over):
            goes_on.set()
            until(lambda: not lines._queue)
        return []

    is_over = iter([False, True])
    told.before_written = takes_its_time
    lines._wait = time_passes  # type: ignore[assignment]
    lines.append(b"1\n")

    assert told.written == fine(b"1\n")
    assert told.said == []


def test_a_thread_that_has_to_wait_for_its_turn_is_no_stall(
    lines: Writer, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, turn = os.read, threading.Semaphore(1)

    def reads_late(descriptor: int, size: int) -> bytes:
        content = read(descriptor, size)
        if descriptor == lines._work_event:
            assert turn.acquire(timeout=LATE)
        return content

    def time_passes(_seconds: float, _most: int) -> list[tuple[int, int]]:
        """The time of a stall passes before the thread has its turn; after the second time it has had it."""
        if next(has_its_turn):
            turn.release()
            until(lambda: not lines._queue)
        return []

    has_its_turn = itertools.cycle([False, True])
    monkeypatch.setattr(os, "read", reads_late)
    lines.append(b"0\n")
    lines._wait = time_passes  # type: ignore[assignment]
    for line in numbered(1, 3):
        lines.append(line)
    turn.release()  # for the end

    assert told.written == fine(*numbered(0, 3))
    assert told.said == []


# --- while it stalls


def test_a_stall_stops_nobody_and_every_line_is_written_in_order_when_it_is_over(
    lines: Writer, disk: Disk, told: Told
) -> None:
    lines.append(b"0\n")
    disk.stall()
    for line in numbered(1, 1001):
        lines.append(line)  # a thousand times STALL would be a minute
    assert disk.lines == [b"0\n"]
    assert told.said == ["stall"]

    disk.go_on()
    until(lambda: len(told.said) == 2)
    assert told.said == ["stall", "recovery, 1000 late"]
    assert disk.lines == numbered(0, 1001)
    assert told.written == fine(*numbered(0, 1001))


def test_lines_that_were_put_when_it_stalls_are_written_late(lines: Writer, disk: Disk, told: Told) -> None:
    disk.stall()
    for line in numbered(0, 3):
        lines.put(line)
    lines.wait()
    lines.put(b"3\n")
    lines.wait()
    assert told.said == ["stall"]

    disk.go_on()
    until(lambda: len(told.said) == 2)
    assert told.said == ["stall", "recovery, 4 late"]
    assert disk.lines == numbered(0, 4)


def test_after_a_stall_lines_are_waited_for_again_and_the_next_stall_is_told_again(
    lines: Writer, disk: Disk, told: Told
) -> None:
    for stall in range(3):
        disk.stall()
        lines.append(b"late\n")
        lines.append(b"later\n")
        disk.go_on()
        until(lambda stall=stall: len(told.said) == 2 * stall + 2)  # type: ignore[misc]
        for _ in range(20):
            lines.append(b"prompt\n")
            assert disk.lines[-1] == b"prompt\n"
            disk.lines.clear()

    assert told.said == ["stall", "recovery, 2 late"] * 3


def test_a_disk_that_is_always_slow_is_waited_for_once_and_told_once(lines: Writer, disk: Disk, told: Told) -> None:
    disk.takes_at_most(0.001)
    for count in range(1, 6):
        disk.stall()
        lines.append(b"slow\n")
        disk.wait_until_it_is_reached()
        threading.Event().wait(0.005)  # this is what takes so long
        disk.go_on()
        # A line that comes before the thread is through with the first one would be late, too.
        until(lambda count=count: len(told.written) == count and lines.state is State.SLOW)  # type: ignore[misc]
    until(lambda: len(told.said) == 2)

    assert told.said == ["stall", "recovery, 1 late"]


@pytest.mark.parametrize(("limit", "most"), [("LINES", 4), ("BYTES", 8)])
def test_what_waits_is_bounded_and_what_is_more_fails_at_once(
    lines: Writer, disk: Disk, told: Told, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    monkeypatch.setattr(writer, limit, most)
    for round_ in range(2):  # there is as much room again afterwards
        disk.stall()
        for line in numbered(0, 6):
            lines.append(line)
        assert told.written == [(line, "it stalls, and the queue is full") for line in numbered(4, 6)]

        disk.go_on()
        until(lambda round_=round_: len(told.said) == 2 * round_ + 2)  # type: ignore[misc]
        assert disk.lines == numbered(0, 4)
        assert told.written[2:] == fine(*numbered(0, 4))
        disk.lines.clear()
        told.written.clear()


def test_lines_that_fail_after_a_stall_are_called_with_the_reason(lines: Writer, disk: Disk, told: Told) -> None:
    disk.stall()
    for line in numbered(0, 3):
        lines.append(line)
    disk.error = OSError(28, "No space left on device")
    disk.go_on()
    until(lambda: len(told.said) == 2)

    assert told.written == [(line, "No space left on device") for line in numbered(0, 3)]


def test_the_state_of_a_writer_says_what_happens_to_the_next_line(disk: Disk, told: Told) -> None:
    lines = Writer(disk, told)
    states = [lines.state]
    lines.append(b"0\n")
    states.append(lines.state)
    disk.stall()
    lines.append(b"1\n")
    lines.append(b"2\n")
    states.append(lines.state)
    disk.go_on()
    until(lambda: len(told.said) == 2)
    lines.append(b"3\n")
    states.append(lines.state)
    lines.close()

    assert [*states, lines.state] == [
        State.NEW,
        State.SYNCHRONOUS,
        State.STALLED,
        State.SYNCHRONOUS,
        State.CLOSED,
    ]


# --- the end


def test_the_end_waits_until_all_is_written(disk: Disk, told: Told) -> None:
    lines = Writer(disk, told)
    disk.stall()
    for line in numbered(0, 5):
        lines.append(line)
    threading.Timer(0.1, disk.go_on).start()
    lines.close()

    assert disk.lines == numbered(0, 5)
    assert told.written == fine(*numbered(0, 5))
    assert disk.closed


def test_the_end_does_not_wait_for_ever_and_fails_what_is_left_once(
    disk: Disk, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "FLUSH", 0.05)
    lines = Writer(disk, told)
    disk.stall()
    for line in numbered(0, 3):
        lines.append(line)
    disk.wait_until_it_is_reached()
    lines.close()
    assert lines.state is State.ABANDONED
    assert disk.lines == []
    assert told.written == [(line, "it stalls") for line in numbered(0, 3)]

    disk.go_on()
    assert lines._thread is not None
    lines._thread.join(LATE)
    assert disk.lines == [b"0\n"]  # which was on its way
    assert len(told.written) == 3
    assert told.said == ["stall"]


def test_after_the_end_a_line_is_refused(disk: Disk, told: Told) -> None:
    lines = Writer(disk, told)
    lines.append(b"0\n")
    lines.close()
    lines.append(b"1\n")
    lines.close()

    assert disk.lines == [b"0\n"]
    assert told.written == [(b"0\n", None), (b"1\n", "it is closed")]


def test_there_is_a_thread_only_from_the_first_line_to_the_end(disk: Disk, told: Told) -> None:
    before = set(threading.enumerate())  # of which some that a test has left may end at any time
    Writer(disk, told).close()
    lines = Writer(disk, told)
    assert set(threading.enumerate()) <= before
    lines.append(b"0\n")
    assert len(set(threading.enumerate()) - before) == 1
    lines.close()
    assert set(threading.enumerate()) <= before


def test_without_a_thread_a_line_is_called_with_the_reason_and_the_next_one_tries_again(
    lines: Writer, disk: Disk, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuses)
        lines.append(b"0\n")
    lines.append(b"1\n")

    assert told.written == [(b"0\n", "can't start new thread"), (b"1\n", None)]
    assert disk.lines == [b"1\n"]


STUCK = """
import contextlib, os, sys
from proxy.callers.log.caller_log import CallerLog
from tests.callers.lines import call

# The first line is stuck already: others that a busy machine holds up would be called a stall, too.
full = os.open(sys.argv[1], os.O_RDWR | os.O_NONBLOCK)
with contextlib.suppress(BlockingIOError):
    while True:
        os.write(full, bytes(4096))
log = CallerLog(sys.argv[1])
for number in range(2000):
    log.append(call(request_id=f"r-{number}"))
"""


def test_a_thread_that_is_stuck_does_not_keep_the_process(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    subprocess.run(["mkfifo", str(pipe)], check=True)
    ended = subprocess.run(
        [sys.executable, "-c", STUCK, str(pipe)],
        check=True,
        timeout=60,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )

    assert ended.stderr == (
        "trigger-shim: warning: caller log stalled: until the disk recovers, records are written late\n"
    )
