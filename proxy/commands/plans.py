"""The commands that show what will happen: their options, and what each prints."""

import argparse
import sys
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from proxy import errors
from proxy.callers.log.files import NoLog
from proxy.callers.plan.forecast import Subject, forecast, present, subjects
from proxy.callers.plan.upcoming import agenda
from proxy.callers.plan.warnings import cautions
from proxy.callers.report.survey import Survey
from proxy.commands import reports
from proxy.config import Config
from proxy.output import terminal
from proxy.output.diagnostics import operator
from proxy.output.formatting import instant, printable
from proxy.withdrawn import lifecycle
from proxy.withdrawn.lifecycle import Policy, Reason, Refusal, Standing

# --- check


def add_check_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `check`."""
    parser.add_argument("--no-log", action="store_true", help="do not read the caller log, which may take its time")


def check(config: Config, options: argparse.Namespace) -> None:
    """Print what comes next, as comments, and warn of what is worth a second look."""
    policy, rules, now = config.lifecycle, config.callers.known, reports.now()
    surveyed, reason = None, "the log was not read"
    if not options.no_log:
        try:
            surveyed = reports.read(config, argparse.Namespace(logs=[]), lambda _: False)
        except NoLog as problem:
            reason = str(problem).partition(": name")[0]
    found = subjects(surveyed, rules, policy, now)
    is_read = surveyed is not None
    coming = agenda(present(policy, found, now), forecast(policy, found, now), now, None, is_read=is_read)
    for line in (*([] if is_read else [f"{reason}: callers.known alone says who is hit"]), *coming):
        print(f"# {printable(line)}")
    matched = surveyed.matched if surveyed is not None and surveyed.source.calls else None
    for caution in cautions(policy, rules, found, now, matched):
        operator.warning(caution)


# --- lifecycle


def add_lifecycle_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `lifecycle`."""
    parser.add_argument(
        "--at",
        type=reports.time_to_come,
        metavar="TIME",
        help="+2h for in two hours, 2h for two hours ago, a date, or a date-time; default: now",
    )
    parser.add_argument("--caller", metavar="NAME", help="this caller alone, as `callers` or callers.known names it")
    reports.add_logs(parser)
    parser.add_argument("--format", choices=("table", "json"), default="table", help="default: %(default)s")


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


def show(config: Config, options: argparse.Namespace) -> int:
    """Print what calls would get at a time, and return the exit status."""
    policy, rules, now = config.lifecycle, config.callers.known, reports.now()
    surveyed: Survey | None = None
    try:
        surveyed = reports.read(config, options, lambda _: False)
    except NoLog as problem:
        if options.logs:
            operator.error(str(problem))
            return 2
        operator.warning(f"{str(problem).partition(': name')[0]}: callers.known alone says who is asked about")
    moment = reports.at(options.at, now) or now
    found = subjects(surveyed, rules, policy, moment)
    if options.caller is not None:
        names = [subject.party.name for subject in found]
        found = [subject for subject in found if subject.party.name == options.caller]
        if not found:
            return reports.unknown(options.caller, "in the log or in callers.known", names)
    prospects = [_prospect(policy, subject, moment) for subject in found]
    if options.format == "json":
        print(_to_json(prospects, moment))
    else:
        _show_table(prospects, present(policy, found, moment).phase, moment)
    return 0


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


def _to_json(prospects: Iterable[Prospect], at: datetime) -> str:
    whole = {"at": at, "callers": [_values(prospect) for prospect in prospects]}
    text = msgspec.json.format(msgspec.json.encode(whole), indent=2).decode()
    return "\n".join(map(printable, text.split("\n")))


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
