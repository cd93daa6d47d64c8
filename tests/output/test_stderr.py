import os
import re
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from proxy.output.diagnostics import log
from tests.support.paths import ROOT
from tests.support.processes import running

LINES = 3000
MANY = f"""
import asyncio, sys
from proxy.output import writer
from proxy.output.diagnostics import log

writer.FLUSH, writer.STALL = 0.1, 2  # a busy machine is no reader that is gone
async def many():
    for number in range({LINES}):
        log.error("line", number=number, rest="x" * 200)
    print("written", flush=True)
    if sys.argv[1:]:
        assert input() == "go on"
"""

WARNING = re.compile(r"trigger-shim: warning: standard error stalled lost_lines=(\d+)")
LINE = re.compile(r"trigger-shim: error: line number=(\d+) rest=x{200}")


def started(program: str, *arguments: str) -> AbstractContextManager["subprocess.Popen[str]"]:
    return running(
        subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
    )


def numbers(lines: list[str]) -> list[int]:
    return [int(found[1]) for line in lines if (found := LINE.fullmatch(line))]


def test_a_standard_error_that_nobody_reads_stops_no_loop_and_no_end() -> None:
    with started(MANY + "asyncio.run(many())") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "written\n"
        assert process.wait(60) == 0
        lines = process.stderr.read().splitlines()
    whole = numbers(lines)
    assert whole == list(range(len(whole)))
    assert 0 < len(whole) < LINES


def test_when_it_is_read_again_every_line_is_there_or_counted() -> None:
    program = f"{MANY}writer.LINES = 500\nasyncio.run(many())"
    with started(program, "wait") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "written\n"
        lines: list[str] = []
        while not lines or not WARNING.fullmatch(lines[-1]):
            lines.append(process.stderr.readline().rstrip("\n"))
        _, rest = process.communicate("go on\n", timeout=60)
    assert rest == ""
    whole, [lost] = numbers(lines), [int(found[1]) for line in lines if (found := WARNING.fullmatch(line))]
    assert len(lines) == len(whole) + 1
    assert whole == list(range(len(whole)))
    assert len(whole) + lost == LINES


def test_a_closed_standard_error_hurts_nobody() -> None:
    command = [sys.executable, "-c", MANY + "asyncio.run(many())"]
    ended = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", *command], check=True, timeout=60, capture_output=True, text=True, cwd=ROOT
    )
    assert (ended.stdout, ended.stderr) == ("written\n", "")


def test_a_full_standard_error_hurts_nobody() -> None:
    with Path("/dev/full").open("w") as full:
        subprocess.run(
            [sys.executable, "-c", MANY + "asyncio.run(many())"], stderr=full, check=True, timeout=60, cwd=ROOT
        )


def test_a_command_writes_itself_waits_for_who_reads_and_loses_nothing() -> None:
    program = MANY.replace("async def", "def") + "many()\nimport threading\nprint(threading.active_count())"
    with started(program) as process:
        output, errors = process.communicate(timeout=60)
    assert output == "written\n1\n"
    assert numbers(errors.splitlines()) == list(range(LINES))


def test_lines_go_to_what_stands_for_standard_error_at_the_time(capsys: pytest.CaptureFixture[str]) -> None:
    log.info("one")
    assert capsys.readouterr().err == "trigger-shim: one\n"
    with capsys.disabled():
        keep = os.dup(2)
        read, write = os.pipe()
        try:
            os.dup2(write, 2)
            log.info("two")
        finally:
            os.dup2(keep, 2)
        assert os.read(read, 100) == b"trigger-shim: two\n"
        for descriptor in (keep, read, write):
            os.close(descriptor)
