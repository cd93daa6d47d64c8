"""Shows what a call of each caller would get at a given time."""

import argparse
import sys
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from proxy import errors
from proxy.callers.log.files import NoLog
from proxy.callers.plan.forecast import CallerStatus, caller_statuses, current_phase
from proxy.callers.report.analysis import Analysis
from proxy.commands import log_options
from proxy.commands.options import add_config, add_format, require_config
from proxy.commands.status import CommandError, ExitStatus
from proxy.config import Config
from proxy.output import messages, terminal
from proxy.output.formatting import instant, json_text, printable
from proxy.withdrawn import lifecycle
from proxy.withdrawn.lifecycle import Decision, Policy

SUMMARY = "show what a call of each caller would get, now or at another time"
EPILOG = """\
examples:
  trigger-shim lifecycle --at 2026-12-31T12:00:00+03:00
  trigger-shim lifecycle --at +2h --caller nightly"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument(
        "--at",
        type=log_options.future_time,
        metavar="TIME",
        help="+2h for two hours from now, 2h for two hours ago, a date, or a date-time (default: now)",
    )
    parser.add_argument(
        "--caller", metavar="NAME", help="show only this caller, named as in `trigger-shim callers` or callers.known"
    )
    log_options.add_logs(parser)
    add_format(parser, "table", "json")


def run(options: argparse.Namespace) -> ExitStatus:
    config, now = require_config(options), log_options.now()
    policy, rules = config.lifecycle, config.callers.known
    moment = log_options.to_datetime(options.at, now) or now
    found = caller_statuses(_read_calls(config, options.files, options.ledger), rules, policy, moment)
    if options.caller is not None:
        names = [subject.party.name for subject in found]
        found = [subject for subject in found if subject.party.name == options.caller]
        if not found:
            raise log_options.unknown_caller(options.caller, "in the log or in callers.known", names)
    previews = [_preview(policy, subject, moment) for subject in found]
    if options.format == "json":
        print(json_text({"at": moment, "callers": [_to_dict(preview) for preview in previews]}))
    else:
        _show_table(previews, current_phase(policy, found, moment).phase, moment)
    return ExitStatus.OK


def _read_calls(config: Config, files: list[str], ledger: str | None) -> Analysis | None:
    try:
        return log_options.read_calls(config, files, ledger)
    except NoLog as problem:
        if files or ledger:
            raise CommandError(ExitStatus.USAGE, str(problem)) from None
        messages.warning(f"{str(problem).partition(': name')[0]}: only the callers in callers.known are shown")
        return None


class Preview(NamedTuple):
    """What a call of one caller would get at a given time.

    Attributes:
        headers: the response headers that announce the end, by lower-case name.
    """

    subject: CallerStatus
    decision: Decision
    headers: dict[str, str]

    @property
    def error(self) -> type[errors.ProxyError] | None:
        """The error that it would get, or None if it would be forwarded."""
        refusal = self.decision.refusal
        if refusal is None:
            return None
        return errors.Withdrawn if refusal.until is None else errors.BrownedOut

    @property
    def answer(self) -> str:
        """The result in a few words."""
        refusal, error = self.decision.refusal, self.error
        if refusal is None or error is None:
            return "forwarded"
        if refusal.until is not None:
            return f"{error.status} {error.code} until {instant(refusal.until)}"
        return f"{error.status} {error.code}: {'no new callers' if refusal.reason == 'frozen' else refusal.reason}"


def _preview(policy: Policy, subject: CallerStatus, at: datetime) -> Preview:
    decision = lifecycle.decide(policy, subject.party, at)
    headers = lifecycle.announcement(policy, subject.party)
    return Preview(subject, decision, {name.decode(): value.decode() for name, value in headers})


_TITLES = ("caller", "owner", "state", "phase", "a call gets", "Deprecation", "Sunset")
_OPTIONAL_COLUMNS = ("Deprecation", "state", "Sunset", "owner", "phase")
"""What a narrow terminal leaves out, in this order."""
_MIN_WIDTHS = {"caller": 24, "owner": 12}


def _show_table(previews: Iterable[Preview], phase: str, at: datetime) -> None:
    terminal.show_line(sys.stdout, f"At {instant(at)} the phase is {phase}.")
    terminal.show_line(sys.stdout, "")
    rows = [_cells(preview) for preview in previews]
    columns = [
        terminal.Column(title, [row[index] for row in rows], min_width=_MIN_WIDTHS.get(title))
        for index, title in enumerate(_TITLES)
    ]
    terminal.show_table(sys.stdout, columns, _OPTIONAL_COLUMNS)


def _cells(preview: Preview) -> list[str]:
    party, headers = preview.subject.party, preview.headers
    return [
        printable(party.name),
        printable(party.owner or "-"),
        preview.subject.state or "not in the log",
        preview.decision.phase,
        preview.answer,
        headers.get("deprecation", "-"),
        headers.get("sunset", "-"),
    ]


def _to_dict(preview: Preview) -> dict[str, Any]:
    subject, refusal, error = preview.subject, preview.decision.refusal, preview.error
    return {
        "caller": subject.party.name,
        "owner": subject.party.owner,
        "state": subject.state,
        "last_seen": subject.last_seen,
        "phase": preview.decision.phase,
        "outcome": error.outcome if error is not None else "forwarded",
        "status": error.status if error is not None else None,
        "error_code": error.code if error is not None else None,
        "reason": refusal.reason if refusal is not None else None,
        "until": refusal.until if refusal is not None else None,
        "deprecation": preview.headers.get("deprecation"),
        "sunset": preview.headers.get("sunset"),
    }
