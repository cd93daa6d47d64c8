"""Parses the command line, and runs the command that it names."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

from proxy import __version__
from proxy.commands.status import CommandError, ExitStatus

COMMANDS = ("serve", "health", "check", "lifecycle", "translate", "scan", "callers", "caller", "fingerprint", "demo")
"""Modules of `proxy.commands`, in the order of ``--help``. Only the one that is needed is imported."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    Args:
        arguments: the command line after the name of the program; None for that of this process.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        try:
            return _run(words)
        finally:
            print(end="", flush=True)  # a broken pipe shows up here at the latest, where it can be caught
    except CommandError as error:
        from proxy.output.diagnostics import operator  # noqa: PLC0415 - most commands never need it

        for problem in error.problems:
            operator.error(problem)
        return error.status
    except BrokenPipeError:
        from proxy.output import terminal  # noqa: PLC0415 - the same

        terminal.stop_printing()
        return ExitStatus.OK
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED


def _run(words: list[str]) -> int:
    if not words or words[0] not in COMMANDS:
        _exit_without_command(words)
    command = _command(words[0])
    status: int = command.run(_parse(_parser(words[0], command), words[1:]))
    return status


def _command(name: str) -> Any:
    return import_module(f"proxy.commands.{name}")


def _parser(name: str, command: Any) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=f"trigger-shim {name}",
        description=f"{command.SUMMARY[0].upper()}{command.SUMMARY[1:]}.",
        epilog=command.EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.usage_status = getattr(command, "USAGE_STATUS", ExitStatus.USAGE)
    command.add_arguments(parser)
    return parser


def _parse(parser: argparse.ArgumentParser, words: list[str]) -> argparse.Namespace:
    options, rest = parser.parse_known_args(words)
    # argparse takes no more files once an option has followed the first ones.
    if "files" in options and all(map(_is_file, rest)):
        options.files.extend(rest)
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return options


def _is_file(word: str) -> bool:
    return word == "-" or not word.startswith("-")


def _exit_without_command(words: list[str]) -> NoReturn:
    """Answer ``--help``, ``--version``, or a command line that is wrong."""
    parser = _Parser(
        prog="trigger-shim",
        usage="trigger-shim [-h] [--version] COMMAND ...",
        description="A reverse proxy that keeps old CI tooling working on a withdrawn SourceCraft endpoint.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"trigger-shim {__version__}")
    parser.add_argument("command", metavar="COMMAND", choices=COMMANDS, help=argparse.SUPPRESS)
    if words != ["--version"]:  # which does not have to wait for every command
        commands = "".join(f"  {name:<12} {_command(name).SUMMARY}\n" for name in COMMANDS)
        parser.epilog = f"commands:\n{commands}\nEach command has its own --help, with an example."
    parser.parse_args(words)
    parser.error("the command comes first")


class _Parser(argparse.ArgumentParser):
    """A parser with an exit status of its own for a wrong command line."""

    usage_status = ExitStatus.USAGE

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(self.usage_status, f"{self.prog}: error: {message}\n")
