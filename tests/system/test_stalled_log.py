"""A caller log that nobody takes, or that takes its time: no call waits for it, and nothing is lost."""

import contextlib
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

import pytest

from proxy.output import writer
from tests.callers.lines import ids, rescued, written
from tests.support.disks import ext4
from tests.support.load import Logged
from tests.support.proxy import Proxy, watched
from tests.support.serving import command, forget_journals
from tests.support.sockets import free_port
from tests.support.upstream import Upstream
from tests.support.waiting import until

STALLS = "trigger-shim: warning: caller log stalled: until the disk recovers, records are written late"
GOES_ON = re.compile(r"trigger-shim: caller log recovered late_records=(\d+)")


NOTICED = writer.STALL  # before `patient_log` changes it


@contextlib.contextmanager
def slow_disks_are_noticed() -> Iterator[None]:
    """In this block, as soon as anywhere else: in others, a busy machine would be taken for a slow disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "STALL", NOTICED)
        yield


class Pipe:
    """A named pipe in the place of the log, which nobody reads unless told to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        self._reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def fill(self) -> None:
        """Have it hold as much as it can."""
        filler = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
        with contextlib.suppress(BlockingIOError):
            while os.write(filler, b"\n" * 4096):
                pass
        os.close(filler)

    def read(self, calls: int) -> list[dict[str, Any]]:
        """The events that come out of it, once there are so many calls among them."""
        content = b""

        def come() -> bool:
            nonlocal content
            try:
                content += os.read(self._reader, 1 << 20)
            except BlockingIOError:
                return False
            return content.count(b'"deprecated_call"') >= calls and content.endswith(b"\n")

        until(come)
        return [json.loads(line) for line in content.splitlines() if line.strip()]

    def drain(self) -> None:
        """Throw away what it holds."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._reader, 1 << 20):
                pass

    def close(self) -> None:
        os.close(self._reader)


def said(stderr: Path, count: int) -> list[str]:
    """All lines on standard error, once there are so many."""
    return cast("list[str]", until(lambda: len(lines := stderr.read_text().splitlines()) >= count and lines))


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Pipe]:
    made = Pipe(tmp_path / "callers.jsonl")
    yield made
    made.close()


def test_while_nobody_reads_the_log_calls_and_pages_are_answered_and_every_record_comes_later(
    upstream: Upstream, tmp_path: Path, pipe: Pipe, stderr: Path
) -> None:
    with watched(upstream.url, tmp_path) as (proxy, admin):
        logged = Logged(proxy, admin)
        first = logged.call(2)
        assert ids(pipe.read(2)) == first
        pipe.fill()
        with slow_disks_are_noticed():
            later = logged.call(300)
        assert admin.call("/healthz", None, method="GET").status == 200
        assert logged.counted() == (1 + 2, 0)
        assert said(stderr, 1) == [STALLS]

        assert ids(pipe.read(300)) == later
        _, goes_on = said(stderr, 2)
        assert GOES_ON.fullmatch(goes_on)
        assert logged.counted() == (1 + 302, 0)
        again = logged.call(1)
        assert ids(pipe.read(1)) == again
    assert len(said(stderr, 2)) == 2


def test_what_is_too_much_to_wait_goes_to_standard_error_and_is_counted(
    upstream: Upstream, tmp_path: Path, pipe: Pipe, stderr: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "LINES", 5)
    with watched(upstream.url, tmp_path) as (proxy, admin):
        logged = Logged(proxy, admin)
        logged.call(1)
        pipe.read(1)
        pipe.fill()
        with slow_disks_are_noticed():
            calls = logged.call(12)
        stalls, *lines = said(stderr, 8)
        assert stalls == STALLS
        assert rescued("\n".join(lines)) == calls[5:]
        assert logged.counted() == (1 + 1, 7)

        assert ids(pipe.read(5)) == calls[:5]
        until(lambda: logged.counted() == (1 + 6, 7))


def test_a_frozen_file_system_stops_no_call(upstream: Upstream, tmp_path: Path, stderr: Path) -> None:
    with ext4(tmp_path / "disk") as disk, watched(upstream.url, tmp_path / "disk") as (proxy, admin):
        logged = Logged(proxy, admin)
        logged.call(2)
        with disk.frozen():
            with slow_disks_are_noticed():
                logged.call(200)
            assert admin.call("/healthz", None, method="GET").status == 200
            assert ids(proxy.events()) == logged.calls[:2]
            assert logged.counted() == (1 + 2, 0)
        stalls, goes_on = said(stderr, 2)
        assert stalls == STALLS
        assert GOES_ON.fullmatch(goes_on)
        assert ids(written(proxy.log)) == logged.calls
        assert logged.counted() == (1 + 202, 0)


@contextlib.contextmanager
def piped(url: str, folder: Path, log: str) -> Iterator[tuple["subprocess.Popen[bytes]", Logged]]:
    """A proxy in a process of its own, with nobody at the other end of its standard output and standard error."""
    ports = free_port(), free_port()
    listen, pages = (f"127.0.0.1:{port}" for port in ports)
    callers = {"log": log, "fingerprint_key": "a key that is given"}
    arguments = command(url, folder, listen=listen, admin=pages, callers=callers, log={"format": "console"})
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        proxy, watching = (Proxy("127.0.0.1", port, folder / "callers.jsonl") for port in ports)
        try:
            until(lambda: _is_ready(proxy))
            yield process, Logged(proxy, watching)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
                forget_journals(log, listen)


def _is_ready(proxy: Proxy) -> bool:
    try:
        return proxy.call("/-/readyz", None, method="GET").status == 200
    except OSError:
        return False


def after_start(errors: bytes) -> list[str]:
    """The lines after the one that says where the proxy listens."""
    listening, *lines = errors.decode().splitlines()
    assert listening.startswith("trigger-shim: listening ")
    return lines


def taken(stream: IO[bytes] | None, calls: int) -> list[str]:
    """The calls whose records come out of a stream, until there are so many."""
    assert stream is not None
    found: list[str] = []
    while len(found) < calls:
        found += ids([json.loads(stream.readline())])
    return found


def test_a_standard_output_that_nobody_reads_stops_no_call(upstream: Upstream, tmp_path: Path) -> None:
    with piped(upstream.url, tmp_path, "-") as (process, logged):
        calls = logged.call(400)
        written, lost = logged.counted()
        assert 0 < written < 400
        assert lost == 0
        assert taken(process.stdout, 400) == calls
        until(lambda: logged.counted() == (1 + 400, 0))
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert json.loads(output)["at"] == "stop"
    lines = after_start(errors)
    stalls, go_on = lines[::2], lines[1::2]  # a busy machine is a slow disk, too
    assert len(stalls) == len(go_on) > 0
    assert set(stalls) == {STALLS}
    assert all(map(GOES_ON.fullmatch, go_on))


def test_a_stop_does_not_wait_for_who_does_not_read_and_the_rest_goes_to_standard_error(
    upstream: Upstream, tmp_path: Path
) -> None:
    with piped(upstream.url, tmp_path, "-") as (process, logged):
        calls = logged.call(200)
        assert process.stdout is not None
        assert process.stderr is not None
        process.send_signal(signal.SIGTERM)
        errors = process.stderr.read()
        assert process.wait(60) == 0
        output = process.stdout.read()
    stalls, *lines = after_start(errors)
    assert stalls == STALLS
    whole = output[: output.rindex(b"\n")].splitlines()
    assert ids([json.loads(line) for line in whole]) + rescued("\n".join(lines)) == calls


def test_calls_whose_records_still_wait_when_the_process_is_killed_are_recorded_by_the_next(
    upstream: Upstream, tmp_path: Path, pipe: Pipe
) -> None:
    with piped(upstream.url, tmp_path, str(pipe.path)) as (process, logged):
        pipe.fill()
        calls = logged.call(5)
        process.kill()
        process.wait()
    pipe.drain()
    with piped(upstream.url, tmp_path, str(pipe.path)):
        events = pipe.read(5)
    assert sorted(ids(events)) == calls
    assert {event["outcome"] for event in events if "outcome" in event} == {"interrupted"}


def test_a_standard_error_that_nobody_reads_stops_no_call_though_every_record_goes_there(
    upstream: Upstream, tmp_path: Path
) -> None:
    with piped(upstream.url, tmp_path, "/dev/full") as (process, logged):
        calls = logged.call(300)  # more than a pipe holds
        until(lambda: logged.counted() == (0, 1 + 300))  # on a busy machine, later than they are answered
        process.terminate()
        _, errors = process.communicate(timeout=60)
    assert rescued(errors.decode()) == calls
