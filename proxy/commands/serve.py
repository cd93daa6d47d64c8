"""Runs the proxy."""

import argparse
import functools
import sys
from pathlib import Path

from proxy import signals
from proxy.commands.options import add_config, add_overrides, load_config
from proxy.commands.status import CommandError, ExitStatus
from proxy.config import ConfigError, sources

SUMMARY = "run the proxy"
EPILOG = """\
example:
  trigger-shim serve --config config.yaml --listen 0.0.0.0:8080"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    add_overrides(parser)


def run(options: argparse.Namespace) -> ExitStatus:
    stop = signals.Stop()
    # Imported here so that a signal ends the process even now, and so that `trigger-shim --help` imports no server.
    from proxy.gateway.processes.serve import serve  # noqa: PLC0415
    from proxy.gateway.server.server import ServeError  # noqa: PLC0415

    if options.config is None and Path(sources.DEFAULT_FILE).exists():
        options.config = sources.DEFAULT_FILE  # so that a reload fails if the file is gone
    try:
        serve(functools.partial(load_config, options), stop, announce=sys.stderr.isatty())
    except ConfigError as error:
        raise CommandError(ExitStatus.USAGE, *error.problems) from None
    except ServeError as error:
        raise CommandError(ExitStatus.FAILED, str(error)) from None
    return ExitStatus.OK
