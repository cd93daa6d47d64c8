"""Runs commands, in this process or on a terminal."""

import io
import os
import pty
import re
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from proxy import cli
from proxy.config import sources
from tests.support.terminals import Terminal

COMMAND = str(Path(sys.executable).with_name("trigger-shim"))


class Ran(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """The one line on standard error."""
        assert self.err.count("\n") == 1, self.err
        return self.err


Run = Callable[..., Ran]
Screen = Callable[..., str]


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith(sources.ENVIRONMENT_PREFIX):
            monkeypatch.delenv(name)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    def run(*arguments: str, stdin: str | bytes = b"") -> Ran:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        as_under_posix = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", errors="surrogateescape")
        monkeypatch.setattr(sys, "stdin", as_under_posix)
        try:
            status = cli.main(arguments)
        except SystemExit as exit_:
            status = exit_.code if isinstance(exit_.code, int) else 1
        return Ran(status, *capsys.readouterr())

    return run


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """Shows what a command, in this process, prints on a terminal of some width."""

    def show(columns: int, *arguments: str, status: int = 0, **variables: str) -> str:
        for name, value in {"TERM": "xterm-256color", "COLUMNS": str(columns), **variables}.items():
            monkeypatch.setenv(name, value)
        terminal = Terminal()
        monkeypatch.setattr(sys, "stdout", terminal)
        assert cli.main(arguments) == status
        return terminal.shown()

    return show


def environment(**more: str) -> dict[str, str]:
    """The environment of a shell: output to a pipe is buffered, and the command is on the path."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {**kept, "PATH": f"{Path(COMMAND).parent}:{os.environ['PATH']}", **more}


def on_a_terminal(
    arguments: list[str], columns: int, environment: dict[str, str] | None = None, typed: str = ""
) -> str:
    """What a command shows on a terminal of some width, where something is typed."""
    pid, terminal = pty.fork()
    if pid == 0:
        env = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8", "COLUMNS": str(columns)}
        os.execve(  # noqa: S606
            sys.executable, [sys.executable, "-m", "proxy", *arguments], env | (environment or {})
        )
    termios.tcsetwinsize(terminal, (50, columns))
    shown = b""
    os.write(terminal, typed.encode())
    try:
        while piece := os.read(terminal, 65536):
            shown += piece
    except OSError:  # how a terminal ends
        pass
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, shown
    return shown.decode()


def plain(text: str) -> list[str]:
    return re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()


def examples(text: str) -> list[str]:
    """The command lines at the end of a --help."""
    return [line.strip() for line in re.split("examples?:\n", text)[1].splitlines()]


def imported_by(*arguments: str) -> set[str]:
    """The modules that a command has imported when it ends with status 0."""
    tell = "sys.stderr.write(' '.join(sys.modules))"
    code = f"import atexit, sys; atexit.register(lambda: {tell}); from proxy import cli; sys.exit(cli.main())"
    command = [sys.executable, "-c", code, *arguments]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stderr.split())
