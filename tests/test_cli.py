import io
import os
import pkgutil
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from proxy import __version__, cli, commands
from tests.callers.lines import log
from tests.commands.running import COMMAND, Ran, Run, alone, environment, examples, imported_by, run
from tests.commands.samples import UNTIL, nightly, rows

__all__ = ["alone", "run"]  # fixtures


SLOW = {"asyncio", "httpx", "jinja2", "msgspec", "proxy.config", "rich", "starlette", "structlog", "uvicorn", "yaml"}
"""Modules that take long to import."""


def test_version_says_the_version(run: Run) -> None:
    assert run("--version") == Ran(0, f"trigger-shim {__version__}\n", "")


def test_version_imports_nothing_slow() -> None:
    assert not SLOW & imported_by("--version")


def test_the_list_of_commands_imports_no_server() -> None:
    assert not {"httpx", "starlette", "uvicorn"} & imported_by("--help")


def test_commands_that_log_no_event_do_not_import_structlog(tmp_path: Path) -> None:
    (tmp_path / "call.sh").write_text("curl -X POST $API/acme/shop/ci_workflows/build/trigger\n")
    assert "structlog" not in imported_by("translate", "call.sh")


def test_each_module_of_a_command_is_one() -> None:
    modules = {module.name for module in pkgutil.iter_modules(commands.__path__)}
    assert modules - set(commands.COMMANDS) == {"log_options", "options", "sources", "status", "watching"}


def test_help_lists_every_command(run: Run) -> None:
    ran = run("--help")

    assert ran.status == 0
    listed = re.findall(r"^  (\w+) +\S", ran.out.partition("commands:\n")[2], re.MULTILINE)
    assert tuple(listed) == commands.COMMANDS


@pytest.mark.parametrize("command", ["", *commands.COMMANDS])
def test_help_fits_a_terminal(run: Run, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = run(*command.split(), "--help").out.partition("example")[0]
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    "arguments",
    [[], ["start"], ["--", "check"], ["--speed"], ["check", "--speed"], ["serve", "here"], ["demo", "--listen", "x"]],
)
def test_a_wrong_command_line_exits_2_with_the_usage(run: Run, arguments: list[str]) -> None:
    ran = run(*arguments)

    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("usage: trigger-shim")


@pytest.mark.parametrize("arguments", [["check", "a\x1b[31mb"], ["\x1b[31m"], ["callers", "--by", "\x9b31m"]])
def test_a_wrong_word_is_quoted_without_control_characters(run: Run, arguments: list[str]) -> None:
    assert run(*arguments).err.replace("\n", "").isprintable()


@pytest.mark.parametrize("command", commands.COMMANDS)
def test_the_help_of_each_command_has_examples_that_parse(run: Run, command: str) -> None:
    ran = run(command, "--help")

    assert ran.status == 0
    assert examples(ran.out)
    for example in examples(ran.out):
        [part] = [part for part in example.split(" | ") if part.startswith("trigger-shim ")]
        words = shlex.split(re.split(" [<>] ", part)[0])
        assert words[:2] == ["trigger-shim", command]
        cli._parse(cli._parser(command, cli._command(command)), words[2:])


@pytest.mark.parametrize("arguments", [["check"], ["translate", "--help"]])
def test_a_reader_that_has_enough_is_no_error(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)

    with open(writing, "wb") as pipe:  # noqa: PTH123 - a descriptor
        ran = subprocess.run([COMMAND, *arguments], env=environment(), stdout=pipe, stderr=subprocess.PIPE, check=False)

    assert ran.returncode == 0
    assert b"Broken" not in ran.stderr
    assert b"Traceback" not in ran.stderr


@pytest.mark.parametrize("arguments", [["check"], ["translate", "--help"]])
def test_a_full_disk_behind_standard_output_is_said_in_a_line(arguments: list[str]) -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - as above
        ran = subprocess.run([COMMAND, *arguments], env=environment(), stdout=full, stderr=subprocess.PIPE, check=False)

    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1] == b"trigger-shim: error: standard output: No space left on device"
    assert b"Traceback" not in ran.stderr


def test_an_interrupt_ends_a_command_without_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Keyboard(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, _into: object) -> int:
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Keyboard())))

    assert cli.main(["translate"]) == 130
    assert capsys.readouterr() == ("", "")


def test_files_may_stand_before_and_behind_the_options(run: Run, tmp_path: Path) -> None:
    for name, since in (("a", 2), ("b", 4)):
        (tmp_path / name).write_bytes(log(*nightly(since, since - 1)))

    assert rows(run("callers", "a", *UNTIL, "b").out)[1][3] == "4"
    assert "4 from" in run("caller", "nightly", "a", *UNTIL, "b").out
    assert run("callers", "a", *UNTIL, "--speed").status == 2


def test_behind_two_dashes_a_file_may_begin_with_one(run: Run, tmp_path: Path) -> None:
    (tmp_path / "-log").write_bytes(log(*nightly(2, 1)))

    assert rows(run("callers", "--", "-log").out)[1][3] == "2"
