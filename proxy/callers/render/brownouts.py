"""What brownouts have brought about, as tables, JSON and Markdown."""

from collections.abc import Callable, Sequence
from typing import Any, TextIO

from proxy.callers.render.cells import markdown_table
from proxy.callers.report.brownout_results import BrownoutResult, Impact
from proxy.output import terminal
from proxy.output.formatting import json_text, minute, moment, pluralize, printable

NONE = "No brownout ended in this time."

_STYLES = {"moved": "green", "back": "bold red", "silent": "yellow"}
_DISPENSABLE = ("owner", "last seen", "new calls", "again")
_NUMBERS = {"refused", "again", "new calls"}
_UNTRUSTED = {"caller": 24, "owner": 12}

_CELLS: dict[str, Callable[[Impact], str]] = {
    "caller": lambda each: printable(each.row.name),
    "owner": lambda each: printable(each.row.owner or "-"),
    "in it": lambda each: each.effect,
    "refused": lambda each: str(each.refused or "-"),
    "again": lambda each: str(each.again or "-"),
    "afterwards": lambda each: each.afterwards or "-",
    "new calls": lambda each: str(each.new_calls or "-"),
    "last seen": lambda each: minute(each.row.last_seen),
}


def show_results(found: Sequence[BrownoutResult], out: TextIO) -> None:
    """Print a table for each window."""
    if not found:
        terminal.show_line(out, NONE)
    for index, result in enumerate(found):
        if index:
            terminal.show_line(out, "")
        terminal.show_line(out, heading(result), "bold")
        terminal.show_line(out, summary(result))
        terminal.show_line(out, "")
        columns = [
            terminal.Column(
                title,
                [cell(each) for each in result.impacts],
                title in _NUMBERS,
                _UNTRUSTED.get(title),
                _STYLES if title == "afterwards" else {},
            )
            for title, cell in _CELLS.items()
        ]
        terminal.show_table(out, columns, _DISPENSABLE)


def results_to_markdown(found: Sequence[BrownoutResult]) -> str:
    """A table for each window as Markdown."""
    lines = [] if found else [NONE, ""]
    for result in found:
        cells = [[cell(each) for cell in _CELLS.values()] for each in result.impacts]
        table = markdown_table(list(_CELLS), cells, numbers=_NUMBERS, untrusted=_UNTRUSTED)
        lines += [f"## {heading(result)}", "", summary(result), "", *table, ""]
    return "\n".join(lines)


def results_to_json(found: Sequence[BrownoutResult]) -> str:
    """The windows as a JSON object."""
    return json_text({"brownouts": [_to_dict(result) for result in found]})


def heading(result: BrownoutResult) -> str:
    """When it was."""
    begin, end = result.window
    until = f"{moment(end)} UTC" if begin.date() != end.date() else f"{moment(end)[11:]} UTC"
    if result.is_configured:
        return f"Brownout of {moment(begin)} to {until}"
    return f"Brownout of about {moment(begin)} to {until}, which is not in the configuration any more"


def summary(result: BrownoutResult) -> str:
    """How many callers it hit, and what they have done since."""
    done = [
        f"{len(names)} {what}" for afterwards, what in _AFTERWARDS.items() if (names := result.names("hit", afterwards))
    ]
    sentences = [f"It hit {pluralize(len(result.names('hit')), 'caller')}{': ' if done else ''}{', '.join(done)}."]
    if through := result.names("let through"):
        sentences.append(f"{len(through)} called in it and {_were(through)} let through: it was not in force there.")
    if absent := result.names("no call"):
        sentences.append(f"{len(absent)} did not call in it, so it proves nothing there.")
    return " ".join(sentences)


def _were(names: Sequence[str]) -> str:
    return "was" if len(names) == 1 else "were"


_AFTERWARDS: dict[Any, str] = {
    "moved": "moved to the new call",
    "back": "called again afterwards",
    "silent": "silent since",
}


def _to_dict(result: BrownoutResult) -> dict[str, Any]:
    return {
        "from": result.window.begin,
        "to": result.window.end,
        "configured": result.is_configured,
        "callers": [
            {
                "caller": each.row.name,
                "owner": each.row.owner,
                "effect": each.effect.replace(" ", "_"),
                "refused": each.refused,
                "again": each.again,
                "afterwards": each.afterwards,
                "back_at": each.back_at,
                "new_calls": each.new_calls,
                "last_seen": each.row.last_seen,
            }
            for each in result.impacts
        ],
    }
