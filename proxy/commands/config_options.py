"""The options of the commands that read the configuration."""

import argparse
import os
from typing import Any

from proxy.commands.status import CommandError, ExitStatus
from proxy.config import Config, ConfigError, load


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the file."""
    parser.add_argument(
        "--config", metavar="FILE", help="default: config.yaml in the working folder, where there is one"
    )


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Add the options that override keys of the file."""
    parser.add_argument("--listen", metavar="HOST:PORT", help="overrides listen")
    parser.add_argument("--upstream", metavar="URL", help="overrides upstream.url")


def load_config(options: argparse.Namespace) -> Config:
    """Read the configuration that the options name.

    Raises:
        ConfigError: it cannot be used.
    """
    overrides: dict[str, Any] = {}
    if getattr(options, "listen", None) is not None:
        overrides["listen"] = options.listen
    if getattr(options, "upstream", None) is not None:
        overrides["upstream"] = {"url": options.upstream}
    return load(options.config, os.environ, overrides)


def require_config(options: argparse.Namespace) -> Config:
    """Read the configuration that the options name.

    Raises:
        CommandError: it cannot be used.
    """
    try:
        return load_config(options)
    except ConfigError as error:
        raise CommandError(ExitStatus.USAGE, *error.problems) from None
