"""What the owner of a caller must know: what it calls, and the new call for each."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from proxy.callers.record import MARK
from proxy.callers.report.detail import Detail, Use
from proxy.callers.report.rows import Row
from proxy.callers.report.strangers import WHO
from proxy.calls import replacement
from proxy.calls.call import NotRead
from proxy.calls.write import curl
from proxy.errors import InvalidBody, InvalidPath
from proxy.output.formatting import date, format_counts, interval, minute, printable
from proxy.withdrawn.endpoints import ENDPOINTS

CHANGES = 20
"""How many changes are shown, the most frequent calls first."""


class RequiredChange(NamedTuple):
    """A call that the owner must change.

    Attributes:
        legacy: method and path of the legacy call.
        request: the new call as a ``curl`` command; None if the legacy call is invalid and has never worked.
        notes: notes on the new call, a sentence each.
        hint: hint in the record of the last call.
    """

    endpoint: str
    legacy: str
    calls: int
    request: str | None
    notes: list[str]
    hint: str | None

    @property
    def is_move(self) -> bool:
        """Whether only the path changes."""
        return self.endpoint not in _TRIGGERS and self.hint is None


class Place(NamedTuple):
    """Where in a file a caller is likely to make a call."""

    file: str
    line: int
    endpoint: str
    found: str


class CallerProfile(NamedTuple):
    """Everything about one caller.

    Attributes:
        changes: the most frequent ones, up to `CHANGES`.
        more_changes: number of changes that are left out.
        places: where its calls are; None if nobody looked.
    """

    row: Row
    detail: Detail
    changes: list[RequiredChange]
    more_changes: int
    places: list[Place] | None = None

    @property
    def activity(self) -> str:
        """Its state, and when it will be retired."""
        row = self.row
        if row.is_apart:
            return f"{row.state}: last call {minute(row.last_seen)}; no say in the verdict"
        rhythm = f"usually every {interval(row.interval)}" if row.interval is not None else "all within an hour"
        retired = f"; retired on {minute(row.retired_at)} if it never calls again" if row.retired_at is not None else ""
        return f"{row.state}: last call {minute(row.last_seen)}, {rhythm}{retired}"

    @property
    def plans(self) -> str | None:
        """What the policy has planned for it, with times in UTC; None if nothing."""
        effect, change = self.row.effect, self.row.effect.next_change
        if effect.permanent_refusal is not None:
            since = f" since {date(effect.refused_from)}" if effect.refused_from is not None else ""
            return f"refused{since} ({effect.permanent_refusal})"
        plans = [effect.summary] if effect.refusal is not None else []
        if change is not None:
            until = f" until {date(change.until)}" if change.until is not None else ""
            plans.append(f"{change.kind} {date(change.at)}{until}")
        if effect.refused_from is not None and (change is None or change.at != effect.refused_from):
            plans.append(f"permanently refused from {date(effect.refused_from)}")
        return "; ".join(plans) or None

    @property
    def counts(self) -> list[tuple[str, Counter[str]]]:
        """Calls by value, for each kind of values that the caller has."""
        counts = self.row.counts | self.detail.counts
        counts["names"] = self.detail.names if self.row.is_stranger else Counter()
        return [(kind, counts[kind]) for kind in COUNTED if counts[kind]]

    def warnings(self, quote: Callable[[str], str] = printable) -> list[str]:
        """Problems that the new call alone does not solve, a sentence or two each.

        `quote` makes untrusted text safe to show.
        """
        if self.row.is_stranger:
            return [f"These are strangers. {WHO} Give those you know a token or a network in callers.known."]
        failing = ["All its calls fail. Migrating will not fix that."] if self.row.error_share == 1 else []
        return [*failing, *self._field_warnings(quote)]

    def _field_warnings(self, quote: Callable[[str], str]) -> Iterator[str]:
        misplaced = self.detail.counts["trigger_fields"]
        if misplaced:
            fields = format_counts(misplaced.items(), quote=quote)
            yield (
                "It sends the body of a trigger to POST /{org}/{repo}/cicd/runs, which ignores"
                f" {fields}, so they never reached a run. The response has no flux_id."
            )
        if ignored := self.detail.counts["ignored_fields"] - misplaced:
            calls_trigger = not _TRIGGERS.isdisjoint(self.row.counts["endpoints"])
            fields = format_counts(ignored.items(), quote=quote)
            yield (
                f"It sends {fields}, which the withdrawn endpoint has always ignored, so they"
                f" never reached a run.{' If they are needed, send them in values.' if calls_trigger else ''}"
            )

    @property
    def heading(self) -> str:
        """The heading above the changes."""
        return "What to change if it calls again" if self.row.state == "retired" else "What to change"

    @property
    def advice(self) -> list[str]:
        """What applies to all changes, in sentences."""
        return [
            *(_TRIGGER if any(change.endpoint in _TRIGGERS for change in self.changes) else []),
            *(_OTHERS if any(change.is_move for change in self.changes) else []),
        ]


COUNTED = "names endpoints repositories workflows agents addresses tokens outcomes errors".split()
"""The kinds of values that calls are counted by, in the order in which they are shown."""

_TRIGGERS = {endpoint.name for endpoint in ENDPOINTS if endpoint.is_trigger}
_TRIGGER = (
    "For a trigger, the path, the body and the response change. Replace BRANCH and VALUE with what the tool sends now;"
    " if it sends no revision, leave head out.",
    'The response was {"flux_id", "flux_public_id", "trigger_status"}; it is now the run, whose "slug" is the former'
    " flux_public_id.",
)
_PATH_IS_CUT = "The path is too long for the caller log, so the new call is not shown."
_OTHERS = ("For all other calls, only the path changes.",)


def make_profile(row: Row, detail: Detail, base: str) -> CallerProfile:
    """The profile of a caller.

    Args:
        row: its row in the report.
        detail: its details.
        base: URL of the service.
    """
    uses = sorted(detail.uses.items(), key=lambda item: -item[1].calls)
    changes = [_change(str(key[0]), use, base) for key, use in uses[:CHANGES]]
    return CallerProfile(row, detail, changes, len(uses) - len(changes))


def _change(endpoint: str, use: Use, base: str) -> RequiredChange:
    method, path, hint = use.method, use.path, use.hint
    if path.endswith(MARK):
        return RequiredChange(endpoint, f"{method} {path}", use.calls, None, [_PATH_IS_CUT], hint)
    try:
        new = replacement.of_recorded(method, path, use.inputs, base, hint)
    except (NotRead, InvalidPath, InvalidBody) as wrong:
        return RequiredChange(endpoint, f"{method} {path}", use.calls, None, [str(wrong)], hint)
    return RequiredChange(endpoint, f"{method} {path}", use.calls, curl.write(new.call).text, new.notes, hint)
