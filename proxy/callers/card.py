"""What the owner of a caller must know: what it calls, and the new call for each, ready to be sent on."""

from typing import NamedTuple

from proxy import curl
from proxy.callers.detail import Call, Detail, Use
from proxy.callers.report import Row
from proxy.callers.words import interval, minute
from proxy.errors import InvalidBody, InvalidPath
from proxy.withdrawn import replacement

CHANGES = 20
"""How many changes are told, those of the most calls first."""


class Change(NamedTuple):
    """One thing that the owner must change.

    Attributes:
        legacy: method and path of the call, as it is.
        request: the new one, a ``curl`` command line; None where the call is a wrong one, which never worked.
        notes: on the new one, a sentence each.
    """

    endpoint: str
    legacy: str
    calls: int
    request: str | None
    notes: list[str]


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
        says = [f"{row.state}: last call {minute(row.last_seen)}, usually every {interval(row.interval)}"]
        if row.interval is None:
            says = [f"{row.state}: last call {minute(row.last_seen)}, too few to know how often"]
        if row.retired_at is not None:
            says.append(f"retired on {minute(row.retired_at)} if it never calls again")
        return says


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
    method, path = use.method, use.path
    try:
        new = replacement.of_recorded(method, path, use.inputs, base)
    except (curl.CurlError, InvalidPath, InvalidBody) as wrong:
        return Change(endpoint, f"{method} {path}", use.calls, None, [str(wrong)])
    return Change(endpoint, f"{method} {path}", use.calls, curl.write(new.call), new.notes)
