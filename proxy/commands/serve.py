"""Runs the proxy."""

import argparse
import functools
import signal
import sys
from pathlib import Path
from typing import NoReturn

from proxy.commands.config_options import add_config, add_overrides, load_config
from proxy.commands.status import CommandError, ExitStatus
from proxy.config import ConfigError, sources

SUMMARY = "run the proxy"
EPILOG = """\
example:
  trigger-shim serve --config config.yaml --listen 0.0.0.0:8080"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `serve`."""
    add_config(parser)
    add_overrides(parser)


def run(options: argparse.Namespace) -> ExitStatus:
    """Serve until a signal ends it.

    Raises:
        CommandError: the configuration cannot be used, or the proxy cannot start.
    """
    # The first process of a container ignores SIGTERM without a handler, and the server sets its own late.
    signal.signal(signal.SIGTERM, _end)
    # The server takes longer to import than most other commands take to run.
    from proxy.gateway.processes import supervisor  # noqa: PLC0415
    from proxy.gateway.server.server import ServeError  # noqa: PLC0415

    if options.config is None and Path(sources.DEFAULT_FILE).exists():
        options.config = sources.DEFAULT_FILE  # a reload must find it, too
    try:
        supervisor.serve(functools.partial(load_config, options), announce=sys.stderr.isatty())
    except ConfigError as error:
        raise CommandError(ExitStatus.USAGE, *error.problems) from None
    except ServeError as error:
        raise CommandError(ExitStatus.FAILED, str(error)) from None
    return ExitStatus.OK


def _end(_signal: int, _frame: object) -> NoReturn:
    raise SystemExit(ExitStatus.OK)
