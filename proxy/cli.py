"""The commands: parse, call, print, exit status."""

import argparse
import functools
import getpass
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from proxy import __version__, config, plans, reports, signals, sources, terminal, translate
from proxy.callers import identity
from proxy.callers.log import fingerprint_key, operator

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
"""Exit statuses: done; the thing asked for failed; the command line or the configuration is wrong; Ctrl-C."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    try:
        try:
            return _run(arguments)
        finally:
            print(end="", flush=True)  # while a broken pipe can still be caught
    except config.ConfigError as error:
        for problem in error.problems:
            operator.error(problem)
        return USAGE
    except BrokenPipeError:
        terminal.stop_printing()
        return OK
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(arguments: Sequence[str] | None) -> int:
    options, rest = _parser().parse_known_args(arguments)
    # argparse takes no more files once an option has stood behind the first ones.
    files = next((getattr(options, name) for name in ("logs", "paths") if name in options), None)
    if rest and (files is None or not all(map(_is_file, rest))):
        options.parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if files is not None:
        files.extend(rest)
    command: Callable[[argparse.Namespace], int] = options.command
    if command is not _serve:
        signals.release()
    return command(options)


def _is_file(word: str) -> bool:
    return word == "-" or not word.startswith("-")


# --- the commands


def _serve(options: argparse.Namespace) -> int:
    stop = signals.Stop()
    # A server takes as long to import as most other commands take in all.
    from proxy.gateway import supervisor  # noqa: PLC0415
    from proxy.gateway.server import ServeError  # noqa: PLC0415

    if options.config is None and Path(sources.DEFAULT_FILE).exists():
        options.config = sources.DEFAULT_FILE  # when it is read again, it must be there
    try:
        supervisor.serve(functools.partial(_config, options), stop, announce=sys.stderr.isatty())
    except ServeError as error:
        operator.error(str(error))
        return FAILED
    return OK


def _health(options: argparse.Namespace) -> int:
    from proxy import health  # noqa: PLC0415 - for this command alone

    try:
        health.ask(_config(options))
    except health.NotReady as problem:
        operator.error(str(problem))
        return FAILED
    return OK


def _check(options: argparse.Namespace) -> int:
    effective = _config(options)
    print(config.render(effective), end="")
    plans.check(effective, options)
    return OK


def _lifecycle(options: argparse.Namespace) -> int:
    return plans.show(_config(options), options)


def _translate(options: argparse.Namespace) -> int:
    return translate.run(options)


def _fingerprint(options: argparse.Namespace) -> int:
    settings = _config(options).callers
    text = getpass.getpass("token: ").encode() if sys.stdin.isatty() else sys.stdin.buffer.read()
    secret = identity.token(text.decode("utf-8", "surrogateescape"))
    if secret is None:
        operator.error("no token: give it on standard input")
        return USAGE
    try:
        key = fingerprint_key(settings.fingerprint_key, settings.log)
    except OSError as error:
        operator.error(f"callers.log: {error.filename}: {error.strerror}")
        return FAILED
    print(identity.fingerprint(key, secret))
    return OK


def _callers(options: argparse.Namespace) -> int:
    return reports.callers(_config(options), options)


def _caller(options: argparse.Namespace) -> int:
    return reports.caller(_config(options), options)


def _demo(_options: argparse.Namespace) -> int:
    from proxy import demo  # noqa: PLC0415 - as in _serve

    return OK if demo.run() else FAILED


def _scan(options: argparse.Namespace) -> int:
    from proxy.scan import command  # noqa: PLC0415 - as in _serve

    return command.run(options.paths, options.format)


def _config(options: argparse.Namespace) -> config.Config:
    flags: dict[str, Any] = {}
    if "listen" in options and options.listen is not None:
        flags["listen"] = options.listen
    if "upstream" in options and options.upstream is not None:
        flags["upstream"] = {"url": options.upstream}
    return config.load(options.config, os.environ, flags)


# --- the command line


class _Parser(argparse.ArgumentParser):
    """A parser whose status for a wrong command line can be chosen."""

    wrong = USAGE

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(self.wrong, f"{self.prog}: error: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="trigger-shim",
        description="A reverse proxy that keeps old CI tooling working on a withdrawn SourceCraft endpoint.",
        epilog="Each command has its own --help, with an example.",
    )
    parser.add_argument("--version", action="version", version=f"trigger-shim {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_running(commands)
    _add_policy(commands)
    _add_moving(commands)
    _add_reading(commands)
    summary = "send four calls through the proxy to a stand-in successor, and show what becomes of each"
    _command(commands, "demo", _demo, summary, "trigger-shim demo")
    return parser


def _add_running(commands: Any) -> None:
    serve = _command(
        commands,
        "serve",
        _serve,
        "run the proxy",
        "trigger-shim serve --config config.yaml --listen 0.0.0.0:8080",
    )
    health = _command(
        commands,
        "health",
        _health,
        "ask the running proxy whether it is ready; the exit status says it, for probes",
        "trigger-shim health --config config.yaml",
    )
    for parser in (serve, health):
        _add_config(parser)
        _add_overrides(parser)


def _add_policy(commands: Any) -> None:
    check = _command(
        commands,
        "check",
        _check,
        "say what is wrong with the configuration, or print the effective one, with what it will do and to whom",
        "trigger-shim check --config config.yaml",
    )
    _add_config(check)
    _add_overrides(check)
    plans.add_check_options(check)
    lifecycle = _command(
        commands,
        "lifecycle",
        _lifecycle,
        "say what a call of each caller would get at a time",
        "trigger-shim lifecycle --at 2026-12-31T12:00:00+03:00\n  trigger-shim lifecycle --at +2h --caller nightly",
    )
    _add_config(lifecycle)
    plans.add_lifecycle_options(lifecycle)


def _add_moving(commands: Any) -> None:
    translation = _command(
        commands,
        "translate",
        _translate,
        "turn a legacy body, or a curl command line, into the new request",
        'echo \'{"revision": "tags:v1.0.0"}\' | trigger-shim translate --path /acme/shop/ci_workflows/build/trigger\n'
        "  trigger-shim translate --curl old-call.sh",
    )
    translate.add_options(translation)
    scan = _command(
        commands,
        "scan",
        _scan,
        "find calls of the withdrawn endpoints in files, before they are made",
        "trigger-shim scan .\n  trigger-shim scan --format sarif .gitlab-ci.yml scripts > withdrawn.sarif",
        notes="exit status: 0 nothing was found, 2 something was, 1 it did not work or the command line is wrong\n\n"
        "Left out: what git ignores, links, binary files, and in folders files over 5 MiB.\n\n",
    )
    scan.wrong = FAILED
    scan.add_argument("paths", nargs="+", metavar="PATH", help="a file, or a folder with all below it")
    scan.add_argument(
        "--format", choices=("table", "json", "markdown", "sarif"), default="table", help="default: %(default)s"
    )


def _add_reading(commands: Any) -> None:
    callers = _command(
        commands,
        "callers",
        _callers,
        "say who still calls, whose it is, and whether the withdrawn API can be switched off",
        "trigger-shim callers --since 30d\n  zcat old/*.gz | trigger-shim callers --format csv -",
    )
    _add_config(callers)
    reports.add_callers_options(callers)
    caller = _command(
        commands,
        "caller",
        _caller,
        "tell everything on one caller, and the new call for each that it makes",
        "trigger-shim caller nightly --format markdown",
    )
    _add_config(caller)
    reports.add_caller_options(caller)
    fingerprint = _command(
        commands,
        "fingerprint",
        _fingerprint,
        "read a token, and print the fingerprint that names it in the caller log and in callers.known",
        "trigger-shim fingerprint --config config.yaml < token-file",
    )
    _add_config(fingerprint)


def _command(
    commands: Any,
    name: str,
    function: Callable[[argparse.Namespace], int],
    summary: str,
    example: str,
    *,
    notes: str = "",
) -> _Parser:
    parser: _Parser = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=f"{notes}example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=function, parser=parser)
    return parser


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", metavar="FILE", help="default: config.yaml in the working folder, where there is one"
    )


def _add_overrides(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--listen", metavar="HOST:PORT", help="overrides listen")
    parser.add_argument("--upstream", metavar="URL", help="overrides upstream.url")


if __name__ == "__main__":
    sys.exit(main())
