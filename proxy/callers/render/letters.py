"""What letters say: one to each owner of callers that still call.

Pure. The attributes of `Letter`, `LetterCaller` and `Window` are the fields of the template, which README.md lists.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from proxy.callers.render.markdown import Markdown
from proxy.callers.render.profile import CallerProfile, make_profile
from proxy.callers.render.profile_text import changes_to_markdown, evidence_to_markdown
from proxy.callers.report.analysis import Analysis
from proxy.callers.report.rows import Row
from proxy.output.formatting import code
from proxy.withdrawn import lifecycle
from proxy.withdrawn.brownouts import Window
from proxy.withdrawn.lifecycle import Policy

BROWNOUTS = 5
"""How many planned brownouts a letter names for each caller."""


class LetterCaller(NamedTuple):
    """What a letter says about one caller.

    Attributes:
        last_call: when it called last.
        end: when it is refused for good, in the past or the future; None if no date says so.
        is_refused: whether it is refused for good by now.
        has_extension: whether it has more time than others.
        brownouts: the next windows in which it is refused, with `begin` and `end`.
        warnings: problems that the new call alone does not solve, a sentence or two each.
        changes: the new calls, each with the call that it replaces.
        evidence: what is known of it, and its last calls.
    """

    name: str
    calls: int
    last_call: datetime
    end: datetime | None
    is_refused: bool
    has_extension: bool
    brownouts: list[Window]
    warnings: list[Markdown]
    changes: Markdown
    evidence: Markdown


class Letter(NamedTuple):
    """What a letter says.

    Attributes:
        contacts: how to reach the owner, from the rules of the callers.
        sender: who writes, and whom the owner asks.
        date: when it is written.
        end: when the first of the callers is refused for good; None if no date says so, or all are refused by now.
        service: the address to call instead.
        documentation: the page that explains the withdrawal.
        callers: the callers that still call, those with most calls first.
        advice: what holds for all new calls.
    """

    owner: str
    contacts: list[str]
    sender: str | None
    date: datetime
    end: datetime | None
    service: str
    documentation: str | None
    callers: list[LetterCaller]
    advice: Markdown


def gets_letter(row: Row) -> bool:
    """Whether the owner of a caller is written to. A caller that is to be left out is left out here."""
    return row.state != "retired"


def by_owner(rows: Iterable[Row]) -> dict[str | None, list[Row]]:
    """The callers of each owner; those without one under None. An owner that gets no letter has none."""
    found: dict[str | None, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.owner].extend([row] if gets_letter(row) else [])
    return found


def make_letter(
    owner: str, rows: Iterable[Row], analysis: Analysis, policy: Policy, *, base: str, sender: str | None
) -> Letter:
    """The letter to an owner.

    Args:
        owner: its name.
        rows: its callers.
        analysis: the report, with the details of these callers.
        policy: the dates of the withdrawal.
        base: URL of the service.
        sender: who writes.
    """
    ordered = sorted(rows, key=lambda row: (-row.calls, row.name))
    profiles = [make_profile(row, analysis.detail_of(row.name), base) for row in ordered]
    callers = [_caller(profile, analysis, policy) for profile in profiles]
    return Letter(
        owner=owner,
        contacts=list(dict.fromkeys(row.contact for row in ordered if row.contact is not None)),
        sender=sender,
        date=analysis.report.now,
        end=min((caller.end for caller in callers if caller.end is not None and not caller.is_refused), default=None),
        service=base,
        documentation=policy.documentation,
        callers=callers,
        advice=Markdown("\n\n".join(dict.fromkeys(line for profile in profiles for line in profile.advice))),
    )


def _caller(profile: CallerProfile, analysis: Analysis, policy: Policy) -> LetterCaller:
    row, subject, now = profile.row, analysis.subjects[profile.row.name], analysis.report.now
    is_refused = row.effect.permanent_refusal is not None
    return LetterCaller(
        name=row.name,
        calls=row.calls,
        last_call=row.last_seen,
        end=row.effect.refused_from,
        is_refused=is_refused,
        has_extension=subject.extension is not None and row.effect.refused_from == subject.extension,
        brownouts=[] if is_refused else lifecycle.planned_brownouts(policy, subject, now, BROWNOUTS),
        warnings=[Markdown(warning) for warning in profile.warnings(code)],
        changes=Markdown(changes_to_markdown(profile)),
        evidence=Markdown(evidence_to_markdown(profile)),
    )
