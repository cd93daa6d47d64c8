"""What the owner of a caller must know: what it calls, and the new call for each, ready to be sent on."""

from collections import Counter
from typing import NamedTuple

from proxy import curl
from proxy.callers.detail import Call, Detail, Use
from proxy.callers.rows import Row
from proxy.errors import InvalidBody, InvalidPath
from proxy.withdrawn import replacement
from proxy.withdrawn.endpoints import ENDPOINTS
from proxy.words import date, interval, listed, minute

CHANGES = 20
"""How many changes are told, those of the most calls first."""


class Change(NamedTuple):
    """One thing that the owner must change.

    Attributes:
        legacy: method and path of the call, as it is.
        request: the new one, a ``curl`` command line; None where the call is a wrong one, which never worked.
        notes: on the new one, a sentence each.
        hint: as recorded.
    """

    endpoint: str
    legacy: str
    calls: int
    request: str | None
    notes: list[str]
    hint: str | None = None

    @property
    def is_moved(self) -> bool:
        """Whether the path alone changes."""
        return self.endpoint not in _TRIGGERS and self.hint is None


class Card(NamedTuple):
    """Everything on one caller.

    Attributes:
        changes: up to `CHANGES`.
        more_changes: how many there are besides.
        last_calls: newest first.
    """

    row: Row
    detail: Detail
    changes: list[Change]
    more_changes: int
    last_calls: list[Call]

    @property
    def standing(self) -> list[str]:
        """How it stands, in sentences."""
        row = self.row
        rhythm = f"usually every {interval(row.interval)}" if row.interval is not None else "all within an hour"
        says = [f"{row.state}: last call {minute(row.last_seen)}, {rhythm}"]
        if row.retired_at is not None:
            says.append(f"retired on {minute(row.retired_at)} if it never calls again")
        return says

    @property
    def prospect(self) -> str | None:
        """What is planned for it, in a few words, times in UTC; None where nothing is."""
        plans = self.row.outlook
        if plans.refused is not None:
            return f"refused since {date(plans.since)} ({plans.refused})" if plans.since is not None else plans.text
        coming = [plans.text] if plans.text != "-" else []
        if plans.next is not None and plans.refusal is not None:
            coming.append(f"{plans.next.kind} {date(plans.next.at)}")
        if plans.next is not None and plans.next.until is not None:
            coming[-1] += f" until {date(plans.next.until)}"
        if plans.since is not None and (plans.next is None or plans.next.at != plans.since):
            coming.append(f"refused for good from {date(plans.since)} on")
        return "; ".join(coming) or None

    @property
    def counted(self) -> list[tuple[str, Counter[str]]]:
        """What was counted of it, each kind of values by its name, if there are any."""
        row, detail = self.row, self.detail
        kinds: tuple[tuple[str, Counter[str]], ...] = (
            ("endpoints", row.endpoints),
            ("repositories", row.repositories),
            ("workflows", row.workflows),
            ("agents", row.agents),
            ("addresses", detail.addresses),
            ("tokens", detail.tokens),
            ("outcomes", row.outcomes),
            ("errors", detail.errors),
        )
        return [(title, counts) for title, counts in kinds if counts]

    @property
    def warnings(self) -> list[str]:
        """What its owner has to hear whatever the new call is, in sentences."""
        warnings = []
        if self.row.error_share == 1:
            warnings.append("None of its calls has worked: moving alone mends nothing.")
        if self.detail.trigger_fields:
            fields = listed(self.detail.trigger_fields.items())
            warnings.append(
                f"It sends the body of the trigger to POST /{{org}}/{{repo}}/cicd/runs, which ignores {fields}:"
                " they never reached a run, and the answer has no flux_id."
            )
        if ignored := self.detail.ignored_fields - self.detail.trigger_fields:
            fields = listed(ignored.items())
            advice = "" if _TRIGGERS.isdisjoint(self.row.endpoints) else " If they are meant, they belong in values."
            warnings.append(
                f"It sends {fields}, which the withdrawn endpoint has always ignored: they never reached a run.{advice}"
            )
        return warnings

    @property
    def heading(self) -> str:
        """What stands over the changes."""
        return "What to change, should it come back" if self.row.state == "retired" else "What to change"

    @property
    def advice(self) -> list[str]:
        """What holds for all of its changes, in sentences."""
        return [
            *(_TRIGGER if any(change.endpoint in _TRIGGERS for change in self.changes) else []),
            *(_OTHERS if any(change.is_moved for change in self.changes) else []),
        ]


_TRIGGERS = {endpoint.name for endpoint in ENDPOINTS if endpoint.is_trigger}
_TRIGGER = (
    "Of a trigger, path, body and answer change. BRANCH and VALUE stand for what only the calling tool knows;"
    " where it sends no revision, leave head out.",
    'The answer was {"flux_id", "flux_public_id", "trigger_status"}. It is the run now, and its "slug" is what'
    " flux_public_id was.",
)
_OTHERS = ("Of everything else, the path alone changes.",)


def card(row: Row, detail: Detail, base: str) -> Card:
    """Put together what is known.

    Args:
        row: of the report.
        detail: of the same caller.
        base: address of the service.
    """
    uses = sorted(detail.uses.items(), key=lambda item: -item[1].calls)
    changes = [_change(str(key[0]), use, base) for key, use in uses[:CHANGES]]
    return Card(row, detail, changes, len(uses) - len(changes), detail.last_calls)


def _change(endpoint: str, use: Use, base: str) -> Change:
    method, path, hint = use.method, use.path, use.hint
    try:
        new = replacement.of_recorded(method, path, use.inputs, base, hint)
    except (curl.CurlError, InvalidPath, InvalidBody) as wrong:
        return Change(endpoint, f"{method} {path}", use.calls, None, [str(wrong)], hint)
    return Change(endpoint, f"{method} {path}", use.calls, curl.write(new.call), new.notes, hint)
