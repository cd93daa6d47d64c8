"""A caller's profile as plain text and as Markdown."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from proxy.callers.record import LastCall
from proxy.callers.render.profile import COUNTED, CallerProfile, RequiredChange
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
        *_places(profile, "  ", printable, heading=""),
        "Last calls, in UTC",
        "",
        *(f"  {call_line(call)}" for call in profile.detail.last_calls),
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
        changes_to_markdown(profile),
        "",
        *_places(profile, "- ", code, heading="## "),
        "## Last calls, in UTC",
        "",
        *_last_calls(profile),
    ]
    return "\n".join(lines) + "\n"


def changes_to_markdown(profile: CallerProfile) -> str:
    """The new calls as Markdown, each with the call that it replaces."""
    changes = [line for change in profile.changes for line in _fenced(change)]
    return "\n".join([*changes, *_rest(profile)]).rstrip("\n")


_EVIDENCE = {"user", "successor of", "calls", *COUNTED} - {"outcomes"}


def evidence_to_markdown(profile: CallerProfile) -> str:
    """What its calls said of the caller, and the last of them, as Markdown."""
    facts = [f"- {title}: {code(text)}" for title, text in _facts(profile, BLOCKS) if title in _EVIDENCE]
    return "\n".join([*facts, "", "Last calls, in UTC:", "", *_last_calls(profile)])


def _facts(profile: CallerProfile, blocks: str) -> Iterator[tuple[str, str]]:
    row = profile.row
    yield "owner", ", ".join(printable(part) for part in (row.owner, row.contact) if part) or UNKNOWN
    yield "user", ", ".join(map(printable, row.users)) or "unknown"
    if row.predecessor is not None:
        yield "successor of", printable(row.predecessor)
    yield "state", profile.activity
    if profile.plans is not None:
        yield "next", profile.plans
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


def _last_calls(profile: CallerProfile) -> list[str]:
    return ["```", *(call_line(call).replace("```", "` ` `") for call in profile.detail.last_calls), "```"]


def _rest(profile: CallerProfile) -> Iterable[str]:
    return [f"Not shown: {profile.more_changes} less frequent ones.", ""] if profile.more_changes else []


def _places(profile: CallerProfile, bullet: str, quote: Callable[[str], str], *, heading: str) -> Iterator[str]:
    if profile.places is None:
        return
    yield f"{heading}Where it is likely to be called"
    yield ""
    for place in profile.places:
        yield f"{bullet}{quote(f'{place.file}:{place.line}')}: {quote(place.found)} ({quote(place.endpoint)})"
    if not profile.places:
        yield f"{bullet.replace('- ', '')}No call in these files has its repository and workflow."
    yield ""


def call_line(call: LastCall) -> str:
    """A call in a line, with its time in UTC."""
    run = f" run {call.run}" if call.run else ""
    code = f" {call.error_code}" if call.error_code else ""
    what = f"{call.status} {call.outcome}{code}{run}  {call.method} {call.path}"
    return f"{call.ts:%Y-%m-%d %H:%M:%S}  {printable(what)}"
