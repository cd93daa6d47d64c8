"""Translates a legacy request for the successor, or a run of the successor back."""

import argparse
import sys
from pathlib import Path

import msgspec

from proxy.commands.options import add_config, require_config
from proxy.commands.status import CommandError, ExitStatus
from proxy.errors import ProxyError
from proxy.output import messages
from proxy.withdrawn import curl, replacement, trigger

SUMMARY = "translate a legacy body or curl command into a successor request"
EPILOG = """\
examples:
  echo '{"revision": "tags:v1.0.0"}' | trigger-shim translate --path /acme/shop/ci_workflows/build/trigger
  trigger-shim translate --curl old-call.sh"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument(
        "file", nargs="?", default="-", metavar="FILE", help="file to read (default: -, standard input)"
    )
    parser.add_argument("--path", metavar="PATH", help="path that the legacy body was sent to")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--curl", action="store_true", help="print a curl command to paste into the legacy script")
    form.add_argument("--response", action="store_true", help="read a run, and print the legacy answer for it")


def run(options: argparse.Namespace) -> ExitStatus:
    text = _read(options.file)
    try:
        print(_to_legacy(text) if options.response else _to_successor(text, options))
    except (ProxyError, curl.CurlError) as error:
        raise CommandError(ExitStatus.FAILED, _with_dollars(str(error))) from None
    return ExitStatus.OK


def _read(file: str) -> str:
    try:
        return (sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()).decode()
    except OSError as error:
        raise CommandError(ExitStatus.USAGE, f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CommandError(ExitStatus.USAGE, f"{file}: not UTF-8") from None


def _to_legacy(text: str) -> str:
    return _indented(trigger.to_legacy(200, text.encode()).body)


def _to_successor(text: str, options: argparse.Namespace) -> str:
    if text.lstrip().removeprefix("$ ").startswith("curl"):
        call, notes = replacement.of_call(curl.parse(text))
    else:
        call, notes = replacement.of_body(text, require_config(options).successor_url, options.path)
    for note in notes:
        messages.warning(_with_dollars(note))
    if options.curl:
        return curl.write(call)
    messages.info(_with_dollars(f"send it with {call.method} {call.url}"))
    return _with_dollars(_indented(call.body.encode()))


def _with_dollars(text: str) -> str:
    return text.replace(curl.LITERAL_DOLLAR, "$")


def _indented(body: bytes) -> str:
    return msgspec.json.format(body, indent=2).decode()
