"""Prints the fingerprint of a token."""

import argparse
import getpass
import sys

from proxy.callers import identity
from proxy.callers.ledger.shared_key import find_key
from proxy.commands.options import add_config, require_config
from proxy.commands.status import CommandError, ExitStatus

SUMMARY = "print the fingerprint by which the caller log names a token"
EPILOG = """\
Reads the token from standard input. callers.known takes the fingerprint.

example:
  trigger-shim fingerprint --config config.yaml < token-file"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)


def run(options: argparse.Namespace) -> ExitStatus:
    config = require_config(options, needs_key=True)
    text = getpass.getpass("token: ").encode() if sys.stdin.isatty() else sys.stdin.buffer.read()
    token = identity.token(text.decode("utf-8", "surrogateescape"))
    if token is None:
        raise CommandError(ExitStatus.USAGE, "no token; write it to standard input")
    try:
        key = find_key(config.callers.fingerprint_key, config.callers.log, config.ledger)
    except OSError as error:
        raise CommandError(ExitStatus.FAILED, f"callers.log: {error.filename}: {error.strerror}") from None
    print(identity.fingerprint(key, token))
    return ExitStatus.OK
