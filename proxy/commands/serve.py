"""Runs the proxy."""

import argparse
import functools
from pathlib import Path

from proxy import signals
from proxy.commands.options import add_config, add_overrides, load_config
from proxy.commands.status import ExitStatus
from proxy.config import ConfigError, sources

SUMMARY = "run the proxy"
EPILOG = """\
example:
  trigger-shim serve --config config.yaml --listen 0.0.0.0:8080"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    add_overrides(parser)
    parser.add_argument(
        "--reuse-port", action="store_true", help="share the ports with another process while this one replaces it"
    )


def run(options: argparse.Namespace) -> ExitStatus:
    stop = signals.Stop()
    # Imported here so that a signal ends the process even now, and so that `trigger-shim --help` imports no server.
    from proxy.gateway.processes.serve import serve  # noqa: PLC0415
    from proxy.gateway.server.listeners import ServeError  # noqa: PLC0415
    from proxy.output import diagnostics  # noqa: PLC0415
    from proxy.output.diagnostics import log  # noqa: PLC0415

    if options.config is None and Path(sources.DEFAULT_FILE).exists():
        options.config = sources.DEFAULT_FILE  # so that a reload fails if the file is gone
    diagnostics.configure("auto")
    try:
        load = functools.partial(load_config, options)
        serve(load, stop, reuse_port=options.reuse_port, file=options.config)
    except ConfigError as error:
        for problem in error.problems:
            log.error("configuration_invalid", message=problem)
        return ExitStatus.USAGE
    except ServeError as error:
        log.error("serve_failed", message=str(error))
        return ExitStatus.FAILED
    return ExitStatus.OK
