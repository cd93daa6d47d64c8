"""What has changed for each caller since some days ago.

Pure: the time is an argument.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

from proxy.callers.report.cuts import Cuts

if TYPE_CHECKING:
    from proxy.callers.report.rows import Row

Kind = Literal["new", "back", "more", "less", "stopped", "moved"]
KINDS: tuple[Kind, ...] = ("new", "back", "more", "less", "stopped", "moved")

MUCH = 1.25
"""A caller calls more, or less, if its calls are so many times as many, or as few."""

CALLING = ("active", "fading")


class Differences(NamedTuple):
    """What has changed in the second span of `cuts`, compared with the first one.

    Attributes:
        rows: the callers for which something has changed, by kind.
    """

    cuts: Cuts
    rows: list["Row"]

    def count(self, *kinds: Kind) -> int:
        """The number of callers with these changes."""
        return sum(row.difference in kinds for row in self.rows)


def differences(rows: Sequence["Row"], cuts: Cuts) -> Differences:
    """The differences among callers that have a say in the verdict."""
    changed = [row for row in rows if row.difference is not None]
    return Differences(cuts, sorted(changed, key=_place))


def _place(row: "Row") -> tuple[int, int, str]:
    kind = KINDS.index(row.difference) if row.difference is not None else len(KINDS)
    return kind, -max(row.earlier, row.recent), row.name


def difference(row: "Row", cuts: Cuts, was_calling: Callable[[datetime], bool]) -> Kind | None:
    """What has changed for a caller; None if nothing has.

    A caller is gone once it is silent for longer than twice its longest pause, as in its state: then it has `stopped`,
    or `moved` if its token has made current calls since. Who was gone and calls again is `back`.

    Args:
        row: the caller.
        cuts: the spans that are compared.
        was_calling: whether it was not gone at the begin of the day of a time.
    """
    if row.first_seen >= cuts.middle:
        return "new"
    if row.state not in CALLING:
        if not was_calling(cuts.middle):
            return None
        return "moved" if any(day.last > row.last_seen for day in row.current) else "stopped"
    if not row.earlier:
        return None if was_calling(cuts.middle) else "back"
    if row.recent >= MUCH * row.earlier:
        return "more"
    return "less" if row.recent and row.earlier >= MUCH * row.recent else None
