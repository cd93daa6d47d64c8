"""Prints a script that completes command lines in a shell."""

import argparse
from importlib import import_module

from proxy.commands import COMMANDS
from proxy.commands.status import ExitStatus

SUMMARY = "print a script that completes command lines in bash, zsh or fish"
EPILOG = """\
examples:
  trigger-shim completion bash > ~/.local/share/bash-completion/completions/trigger-shim
  trigger-shim completion zsh > /usr/local/share/zsh/site-functions/_trigger-shim
  trigger-shim completion fish > ~/.config/fish/completions/trigger-shim.fish"""

SHELLS = ("bash", "zsh", "fish")
_FILES = {"FILE", "LOG"}
"""Metavariables of arguments that are files."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))


def run(options: argparse.Namespace) -> ExitStatus:
    import shtab  # noqa: PLC0415 - no other command needs it

    parser = argparse.ArgumentParser(prog="trigger-shim")
    commands = parser.add_subparsers()
    for name in COMMANDS:
        command = import_module(f"proxy.commands.{name}")
        arguments = commands.add_parser(name, help=command.SUMMARY)
        command.add_arguments(arguments)
        for action in arguments._actions:  # noqa: SLF001 - there is no public way to list them
            if action.metavar in _FILES or action.dest == "files":
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(parser, options.shell))
    return ExitStatus.OK
