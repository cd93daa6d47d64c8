"""Parses the command line and runs a command. Only the module of that command is imported."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

from proxy import __version__, signals
from proxy.commands import COMMANDS
from proxy.commands.status import CommandError, ExitStatus
from proxy.output.encoding import let_standard_output_escape


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    Args:
        arguments: the command line without the program name; None for `sys.argv`.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    status: int = ExitStatus.OK
    let_standard_output_escape()
    try:
        try:
            status = _run(words)
        finally:
            print(end="", flush=True)  # raises BrokenPipeError here rather than at exit, where it cannot be caught
    except CommandError as error:
        from proxy.output import messages  # noqa: PLC0415 - slow to import

        for problem in error.problems:
            messages.error(problem)
        return error.status
    except BrokenPipeError:
        from proxy.output import terminal  # noqa: PLC0415 - slow to import

        terminal.stop_printing()
    except OSError as error:
        if error.filename is not None:
            raise
        from proxy.output import messages, terminal  # noqa: PLC0415 - as above

        terminal.stop_printing()  # or the interpreter would try to write the rest again
        messages.error(f"standard output: {error.strerror}")
        return ExitStatus.FAILED
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED
    return status


def _run(words: list[str]) -> int:
    if not words or words[0] not in COMMANDS:
        _exit_without_command(words)
    if words[0] != "serve":
        signals.release()
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
    # argparse does not accept more files after an option that follows the first ones.
    if "files" in options and all(map(_is_file, rest)):
        options.files.extend(rest)
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return options


def _is_file(word: str) -> bool:
    return word == "-" or not word.startswith("-")


def _exit_without_command(words: list[str]) -> NoReturn:
    """Handle ``--help``, ``--version``, and a command line without a valid command."""
    parser = _Parser(
        prog="trigger-shim",
        usage="trigger-shim [-h] [--version] COMMAND ...",
        description="A reverse proxy that keeps legacy CI tooling working on a withdrawn SourceCraft\nendpoint.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"trigger-shim {__version__}")
    parser.add_argument("command", metavar="COMMAND", choices=COMMANDS, help=argparse.SUPPRESS)
    if words != ["--version"]:  # importing every command takes long
        commands = "".join(f"  {name:<12} {_command(name).SUMMARY}\n" for name in COMMANDS)
        parser.epilog = f"commands:\n{commands}\nRun 'trigger-shim COMMAND --help' for options and examples."
    parser.parse_args(words)
    parser.error("write the command first")


class _Parser(argparse.ArgumentParser):
    """An argument parser with a configurable exit status for a wrong command line."""

    usage_status = ExitStatus.USAGE

    def error(self, message: str) -> NoReturn:
        from proxy.output.formatting import printable  # noqa: PLC0415 - slow to import

        self.print_usage(sys.stderr)
        self.exit(self.usage_status, printable(f"{self.prog}: error: {message}") + "\n")
