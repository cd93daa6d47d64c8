"""A caller's card as plain text and as Markdown."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from proxy.callers.render.card import Card, Change
from proxy.callers.report.detail import Call
from proxy.output.formatting import BLOCKS, format_counts, markdown, minute, percent, pluralize, printable, sparkline

_TREND_WIDTH = 60
UNKNOWN = "not known; write it down in callers.known"
"""What stands for an owner whom nobody has named."""


def card_to_text(card: Card, now: datetime, blocks: str = BLOCKS) -> str:
    """Everything on one caller, as it may stand on a terminal or in a mail."""
    lines = [
        f"{printable(card.row.name)}, as of {minute(now)} UTC",
        "",
        *(f"  {title:<13} {text}" for title, text in _facts(card, blocks)),
        *(f"  ! {warning}" for warning in card.warnings),
        "",
        card.heading,
        "",
        *(f"  {line}" for line in card.advice),
        "",
        *(line for change in card.changes for line in _change(change)),
        *_rest(card),
        "Last calls, in UTC",
        "",
        *(f"  {_call(call)}" for call in card.last_calls),
    ]
    return "\n".join(lines) + "\n"


def card_to_markdown(card: Card, now: datetime) -> str:
    """The same, for an issue in the owner's repository."""
    lines = [
        f"# {_code(card.row.name)}",
        "",
        f"As of {minute(now)} UTC.",
        "",
        *(f"- {title}: {_code(text)}" for title, text in _facts(card, BLOCKS)),
        *(f"- **{markdown(warning)}**" for warning in card.warnings),
        "",
        f"## {card.heading}",
        "",
        *card.advice,
        "",
        *(line for change in card.changes for line in _fenced(change)),
        *_rest(card),
        "## Last calls, in UTC",
        "",
        "```",
        *(_call(call).replace("```", "` ` `") for call in card.last_calls),
        "```",
    ]
    return "\n".join(lines) + "\n"


def _facts(card: Card, blocks: str) -> Iterator[tuple[str, str]]:
    row = card.row
    yield "owner", ", ".join(printable(part) for part in (row.owner, row.contact) if part) or UNKNOWN
    yield "user", ", ".join(map(printable, row.users)) or "not known"
    yield "state", "; ".join(card.standing)
    if card.prospect is not None:
        yield "next", card.prospect
    yield (
        "calls",
        f"{row.calls} from {minute(row.first_seen)} to {minute(row.last_seen)}, {percent(row.error_share)} errors",
    )
    yield "trend", sparkline(row.by_day, _TREND_WIDTH, blocks)
    for title, counts in card.counted:
        yield title, format_counts(counts.items())


def _change(change: Change) -> Iterator[str]:
    yield f"  {printable(change.legacy)}  ({change.endpoint}, {pluralize(change.calls, 'call')}) becomes"
    yield ""
    yield from (f"    {line}" for line in _request(change))
    yield ""


def _fenced(change: Change) -> Iterator[str]:
    yield f"{_code(change.legacy)} ({change.endpoint}, {pluralize(change.calls, 'call')}) becomes"
    yield ""
    yield "```sh"
    yield from (line.replace("```", "` ` `") for line in _request(change))
    yield "```"
    yield ""


def _request(change: Change) -> list[str]:
    notes = [f"# {printable(note)}" for note in change.notes]
    return [*notes, *map(printable, (change.request or "").splitlines())]


def _rest(card: Card) -> Iterable[str]:
    return [f"And {card.more_changes} more that were called less often.", ""] if card.more_changes else []


def _call(call: Call) -> str:
    run = f" run {call.run}" if call.run else ""
    code = f" {call.error_code}" if call.error_code else ""
    what = f"{call.status} {call.outcome}{code}{run}  {call.method} {call.path}"
    return f"{call.ts:%Y-%m-%d %H:%M:%S}  {printable(what)}"


def _code(text: str) -> str:
    inside = printable(text).replace("`", "'")
    return f"`{inside}`"
