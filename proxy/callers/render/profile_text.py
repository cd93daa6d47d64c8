"""A caller's profile as plain text and as Markdown."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from proxy.callers.record import LastCall
from proxy.callers.render.formats import noted
from proxy.callers.render.profile import CallerProfile, RequiredChange
from proxy.output.formatting import BLOCKS, code, format_counts, minute, percent, pluralize, printable, sparkline

_TREND_WIDTH = 60
UNKNOWN = "unknown; add it to callers.known"
"""Shown in place of a missing owner."""


def profile_to_text(profile: CallerProfile, now: datetime, blocks: str = BLOCKS) -> str:
    """The profile as plain text, for a terminal or an email."""
    lines = [
        f"{printable(profile.row.name)}, as of {minute(now)} UTC",
        "",
        *(f"  {title:<13} {text}" for title, text in _facts(profile, blocks)),
        *(f"  ! {warning}" for warning in profile.warnings()),
        "",
        profile.heading,
        "",
        *(f"  {line}" for line in profile.advice),
        "",
        *(line for change in profile.changes for line in _change(change)),
        *_rest(profile),
        "Last calls, in UTC",
        "",
        *(f"  {_call(call)}" for call in profile.detail.last_calls),
    ]
    return "\n".join(lines) + "\n"


def profile_to_markdown(profile: CallerProfile, now: datetime) -> str:
    """The profile as Markdown, for an issue in the owner's repository."""
    lines = [
        f"# {code(profile.row.name)}",
        "",
        f"As of {minute(now)} UTC.",
        "",
        *(f"- {title}: {code(text)}" for title, text in _facts(profile, BLOCKS)),
        *(f"- **{warning}**" for warning in profile.warnings(code)),
        "",
        f"## {profile.heading}",
        "",
        *profile.advice,
        "",
        *(line for change in profile.changes for line in _fenced(change)),
        *_rest(profile),
        "## Last calls, in UTC",
        "",
        "```",
        *(_call(call).replace("```", "` ` `") for call in profile.detail.last_calls),
        "```",
    ]
    return "\n".join(lines) + "\n"


def _facts(profile: CallerProfile, blocks: str) -> Iterator[tuple[str, str]]:
    row = profile.row
    yield "owner", ", ".join(printable(part) for part in (row.owner, row.contact) if part) or UNKNOWN
    yield "user", ", ".join(map(printable, row.users)) or "unknown"
    if row.predecessor is not None:
        yield "successor of", printable(row.predecessor)
    yield "state", profile.activity
    if profile.plans is not None:
        yield "next", profile.plans
    if row.note is not None or row.promised is not None:
        yield "note", noted(row)
    yield (
        "calls",
        f"{row.calls} from {minute(row.first_seen)} to {minute(row.last_seen)}, {percent(row.error_share)} errors",
    )
    yield "trend", sparkline(row.by_day, _TREND_WIDTH, blocks)
    for title, counts in profile.counts:
        yield title, format_counts(counts.items())


def _change(change: RequiredChange) -> Iterator[str]:
    yield f"  {printable(change.legacy)}  ({printable(change.endpoint)}, {pluralize(change.calls, 'call')}) becomes"
    yield ""
    yield from (f"    {line}" for line in _request(change))
    yield ""


def _fenced(change: RequiredChange) -> Iterator[str]:
    yield f"{code(change.legacy)} ({code(change.endpoint)}, {pluralize(change.calls, 'call')}) becomes"
    yield ""
    yield "```sh"
    yield from (line.replace("```", "` ` `") for line in _request(change))
    yield "```"
    yield ""


def _request(change: RequiredChange) -> list[str]:
    notes = [f"# {printable(note)}" for note in change.notes]
    return [*notes, *map(printable, (change.request or "").splitlines())]


def _rest(profile: CallerProfile) -> Iterable[str]:
    return [f"Not shown: {profile.more_changes} less frequent ones.", ""] if profile.more_changes else []


def _call(call: LastCall) -> str:
    run = f" run {call.run}" if call.run else ""
    code = f" {call.error_code}" if call.error_code else ""
    what = f"{call.status} {call.outcome}{code}{run}  {call.method} {call.path}"
    return f"{call.ts:%Y-%m-%d %H:%M:%S}  {printable(what)}"
