"""The options that several commands share. Those of the caller log are in `log_options`."""

import argparse
import os
from typing import Any

from proxy.commands.status import CommandError, ExitStatus
from proxy.config import Config, ConfigError, load


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add ``--config``."""
    parser.add_argument(
        "--config", metavar="FILE", help="configuration file (default: config.yaml in the working folder, if it exists)"
    )


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Add ``--listen`` and ``--upstream``, which override the file and the environment."""
    parser.add_argument(
        "--listen", metavar="ADDRESS", help="HOST:PORT or unix:/PATH, where callers connect; overrides `listen`"
    )
    parser.add_argument("--upstream", metavar="URL", help="where calls are forwarded; overrides `upstream.url`")


def add_format(parser: argparse._ActionsContainer, *formats: str) -> None:
    """Add ``--format``. The first format is the default."""
    parser.add_argument("--format", choices=formats, default=formats[0], help="output format (default: %(default)s)")


def load_config(options: argparse.Namespace, *, needs_key: bool = True) -> Config:
    """Load the configuration from the file, the environment and the options.

    Args:
        options: of the command.
        needs_key: as in `load`.

    Raises:
        ConfigError: the configuration is not valid.
    """
    overrides: dict[str, Any] = {}
    if getattr(options, "listen", None) is not None:
        overrides["listen"] = options.listen
    if getattr(options, "upstream", None) is not None:
        overrides["upstream"] = {"url": options.upstream}
    if (ledger := getattr(options, "ledger", None)) is not None:
        overrides |= {"ledger": ledger, "ledger_file": None}
    return load(options.config, os.environ, overrides, needs_key=needs_key)


def require_config(options: argparse.Namespace, *, needs_key: bool = False) -> Config:
    """Load the configuration, or end the command. Whoever may only read the log need not be able to read the key.

    Raises:
        CommandError: the configuration is not valid.
    """
    try:
        return load_config(options, needs_key=needs_key)
    except ConfigError as error:
        raise CommandError(ExitStatus.USAGE, *error.problems) from None
