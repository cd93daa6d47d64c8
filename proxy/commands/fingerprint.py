"""Prints the fingerprint of a token."""

import argparse
import getpass
import sys

from proxy.callers import identity
from proxy.callers.log.fingerprint_key import fingerprint_key
from proxy.commands.config_options import add_config, require_config
from proxy.commands.status import CommandError, ExitStatus

SUMMARY = "read a token, and print the fingerprint that names it in the caller log and in callers.known"
EPILOG = """\
example:
  trigger-shim fingerprint --config config.yaml < token-file"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `fingerprint`."""
    add_config(parser)


def run(options: argparse.Namespace) -> ExitStatus:
    """Read a token from standard input, and print its fingerprint.

    Raises:
        CommandError: there is no token, or the key of the fingerprints cannot be read.
    """
    settings = require_config(options).callers
    text = getpass.getpass("token: ").encode() if sys.stdin.isatty() else sys.stdin.buffer.read()
    token = identity.token(text.decode("utf-8", "surrogateescape"))
    if token is None:
        raise CommandError(ExitStatus.USAGE, "no token: give it on standard input")
    try:
        key = fingerprint_key(settings.fingerprint_key, settings.log)
    except OSError as error:
        raise CommandError(ExitStatus.FAILED, f"callers.log: {error.filename}: {error.strerror}") from None
    print(identity.fingerprint(key, token))
    return ExitStatus.OK
