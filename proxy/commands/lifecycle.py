"""Says what a call of each caller would get at a time."""

import argparse
import sys
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from proxy import errors
from proxy.callers.log.files import NoLog
from proxy.callers.plan.forecast import Subject, present, subjects
from proxy.callers.render.formats import to_json_text
from proxy.callers.report.survey import Survey
from proxy.commands import log_options
from proxy.commands.config_options import add_config, require_config
from proxy.commands.status import CommandError, ExitStatus
from proxy.config import Config
from proxy.output import terminal
from proxy.output.diagnostics import operator
from proxy.output.formatting import instant, printable
from proxy.withdrawn import lifecycle
from proxy.withdrawn.lifecycle import Policy, Reason, Refusal, Standing

SUMMARY = "say what a call of each caller would get at a time"
EPILOG = """\
example:
  trigger-shim lifecycle --at 2026-12-31T12:00:00+03:00
  trigger-shim lifecycle --at +2h --caller nightly"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `lifecycle`."""
    add_config(parser)
    parser.add_argument(
        "--at",
        type=log_options.time_to_come,
        metavar="TIME",
        help="+2h for in two hours, 2h for two hours ago, a date, or a date-time; default: now",
    )
    parser.add_argument("--caller", metavar="NAME", help="this caller alone, as `callers` or callers.known names it")
    log_options.add_logs(parser)
    parser.add_argument("--format", choices=("table", "json"), default="table", help="default: %(default)s")


def run(options: argparse.Namespace) -> ExitStatus:
    """Print what calls would get at a time.

    Raises:
        CommandError: a log that is named cannot be read, or there is no such caller.
    """
    config, now = require_config(options), log_options.now()
    policy, rules = config.lifecycle.policy, [known.rule for known in config.callers.known]
    moment = log_options.at(options.at, now) or now
    found = subjects(_read_logs(config, options.files), rules, policy, moment)
    if options.caller is not None:
        names = [subject.party.name for subject in found]
        found = [subject for subject in found if subject.party.name == options.caller]
        if not found:
            raise log_options.unknown_caller(options.caller, "in the log or in callers.known", names)
    prospects = [_prospect(policy, subject, moment) for subject in found]
    if options.format == "json":
        print(to_json_text({"at": moment, "callers": [_values(prospect) for prospect in prospects]}))
    else:
        _show_table(prospects, present(policy, found, moment).phase, moment)
    return ExitStatus.OK


def _read_logs(config: Config, files: list[str]) -> Survey | None:
    try:
        return log_options.read_logs(config, files)
    except NoLog as problem:
        if files:
            raise CommandError(ExitStatus.USAGE, str(problem)) from None
        operator.warning(f"{str(problem).partition(': name')[0]}: callers.known alone says who is asked about")
        return None


class Prospect(NamedTuple):
    """What a call of somebody would get at a time."""

    subject: Subject
    standing: Standing
    announced: dict[str, str]

    @property
    def answer(self) -> str:
        """In a few words."""
        refusal = self.standing.refusal
        if refusal is None:
            return "forwarded"
        why = f": {_WHY[refusal.reason]}" if refusal.until is None else f" until {instant(refusal.until)}"
        return f"{_error(refusal).status} {_error(refusal).code}{why}"

    @property
    def outcome(self) -> str:
        """As the caller record would have it."""
        refusal = self.standing.refusal
        return _error(refusal).outcome if refusal is not None else "forwarded"


def _error(refusal: Refusal) -> type[errors.ProxyError]:
    return errors.Withdrawn if refusal.until is None else errors.BrownedOut


_WHY: dict[Reason, str] = {
    "sunset": "sunset",
    "migrated": "migrated",
    "frozen": "no new callers",
    "brownout": "brownout",
}


def _prospect(policy: Policy, subject: Subject, at: datetime) -> Prospect:
    standing = lifecycle.standing(policy, subject.party, at)
    headers = lifecycle.announcement(policy, subject.party)
    return Prospect(subject, standing, {name.decode(): value.decode() for name, value in headers})


_TITLES = ("caller", "owner", "state", "phase", "a call gets", "Deprecation", "Sunset")
_DISPENSABLE = ("Deprecation", "state", "Sunset", "owner", "phase")
"""Those that a narrow terminal can do without, the first one first."""


def _show_table(prospects: Iterable[Prospect], phase: str, at: datetime) -> None:
    terminal.show_line(sys.stdout, f"At {instant(at)} the phase is {phase}.")
    terminal.show_line(sys.stdout, "")
    rows = [dict(zip(_TITLES, _cells(prospect), strict=True)) for prospect in prospects]
    texts = {title: [row[title] for row in rows] for title in _TITLES}
    gone = terminal.without_room(texts, _DISPENSABLE, terminal.columns(sys.stdout))
    shown = [title for title in _TITLES if title not in gone]
    cells = ([[(row[title], "")] for title in shown] for row in rows)
    terminal.show_table(sys.stdout, map(terminal.Title, shown), cells)


def _cells(prospect: Prospect) -> list[str]:
    party, headers = prospect.subject.party, prospect.announced
    return [
        printable(party.name),
        printable(party.owner or "-"),
        prospect.subject.state or "not in the log",
        prospect.standing.phase,
        prospect.answer,
        headers.get("deprecation", "-"),
        headers.get("sunset", "-"),
    ]


def _values(prospect: Prospect) -> dict[str, Any]:
    subject, refusal = prospect.subject, prospect.standing.refusal
    return {
        "caller": subject.party.name,
        "owner": subject.party.owner,
        "state": subject.state,
        "last_seen": subject.last_seen,
        "phase": prospect.standing.phase,
        "outcome": prospect.outcome,
        "status": _error(refusal).status if refusal is not None else None,
        "error_code": _error(refusal).code if refusal is not None else None,
        "reason": refusal.reason if refusal is not None else None,
        "until": refusal.until if refusal is not None else None,
        "deprecation": prospect.announced.get("deprecation"),
        "sunset": prospect.announced.get("sunset"),
    }
