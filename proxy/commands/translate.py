"""Translates a legacy request for the successor, or a run of the successor back."""

import argparse
import sys
from pathlib import Path

import msgspec

from proxy.calls import reader, replacement
from proxy.calls.call import Call, NotRead
from proxy.calls.translation import translate
from proxy.calls.write import new_call
from proxy.calls.write.written import Target
from proxy.commands.options import add_config, require_config
from proxy.commands.status import CommandError, ExitStatus
from proxy.errors import ProxyError
from proxy.output import messages
from proxy.withdrawn import trigger

_LONGEST = 1 << 20
"""How long a file may be that a call sends, in bytes."""

SUMMARY = "translate legacy bodies and calls for the successor"
EPILOG = """\
Reads a JSON body, or each call in a piece of source code: curl, wget and
HTTPie in a shell script, in cmd.exe, YAML or a Jenkinsfile, Python's requests
and httpx, JavaScript's fetch and axios, PowerShell's Invoke-RestMethod. For
JavaScript and PowerShell, pip install 'trigger-shim[fix]'.

Prints the new calls. Standard error says what they lack, and what else to
change.

exit status:
  0  everything was translated
  1  a withdrawn call was not, or there is none
  2  a file cannot be read, or the command line is wrong

examples:
  echo '{"revision": "tags:v1.0.0"}' | trigger-shim translate --path /acme/shop/ci_workflows/build/trigger
  trigger-shim translate --to curl old-call.sh
  trigger-shim translate --to python old-call.sh"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument(
        "file", nargs="?", default="-", metavar="FILE", help="file to read (default: -, standard input)"
    )
    parser.add_argument("--path", metavar="PATH", help="path that the legacy body was sent to")
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--to",
        choices=[target.value for target in Target],
        metavar="FORM",
        help="print the new call as curl, httpie, python, javascript or src (default: only its body)",
    )
    form.add_argument("--curl", dest="to", action="store_const", const=Target.CURL.value, help="the same as --to curl")
    form.add_argument("--response", action="store_true", help="read a run, and print the legacy answer for it")


def run(options: argparse.Namespace) -> ExitStatus:
    text = _read(options.file)
    try:
        if options.response:
            print(_indented(trigger.to_legacy(200, text.encode()).body))
            return ExitStatus.OK
        target = Target(options.to) if options.to else None
        if options.path is not None or reader.is_body(text):
            return _translate_body(text, options, target)
        return _translate_calls(text, options.file, target)
    except (ProxyError, NotRead) as error:
        raise CommandError(ExitStatus.FAILED, str(error)) from None


def _read(file: str) -> str:
    try:
        if file == "-" and sys.stdin.isatty():
            messages.info("waiting for a body or a call on the terminal; end it with Ctrl-D")
        return (sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()).decode("utf-8-sig")
    except OSError as error:
        raise CommandError(ExitStatus.USAGE, f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CommandError(ExitStatus.USAGE, f"{file}: not UTF-8") from None


def _translate_body(text: str, options: argparse.Namespace, target: Target | None) -> ExitStatus:
    call, notes = replacement.of_body(text, require_config(options).successor_url, options.path)
    written = new_call.write(call, target) if target else None
    for note in notes + (written.notes if written else []):
        messages.warning(note)
    _print(call, written.text if written else None)
    return ExitStatus.OK


def _translate_calls(text: str, file: str, target: Target | None) -> ExitStatus:
    translation = translate(text, target, "" if file == "-" else file, lambda name: _load(name, file))
    results = translation.results
    several = text.strip().count("\n") > 0
    for note in translation.notes:
        messages.info(note)
    for result in results:
        where = f"line {result.line}: " if several else ""
        for note in result.notes:
            messages.warning(where + note)
        if result.new is not None:
            _print(result.new, result.text or None)
        elif result.still_works and len(results) > 1:
            messages.info(f"{where}left out: {result.problem}")
        else:
            messages.error(where + (result.problem or ""))
    is_whole = all(result.new or result.still_works for result in results) and any(result.new for result in results)
    return ExitStatus.OK if is_whole else ExitStatus.FAILED


def _load(name: str, script: str) -> str | None:
    """A file that a call sends, from the working folder or beside the script; None if it cannot be read."""
    for folder in (Path(), Path(script).parent):
        path = folder / name
        try:
            if path.is_file() and path.stat().st_size <= _LONGEST:
                return path.read_bytes().decode("utf-8-sig")
        except (OSError, ValueError):
            continue
    return None


def _print(call: Call, text: str | None) -> None:
    if text is None:
        messages.info(f"send it with {call.method} {call.shown(call.url)}")
        text = call.shown(_indented(call.body.encode())) if call.body else ""
    if text:
        print(text)


def _indented(body: bytes) -> str:
    return msgspec.json.format(body, indent=2).decode()
