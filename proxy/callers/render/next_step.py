"""What the lead of the migration does next about a caller.

Pure.
"""

from proxy.callers.report.rows import Row
from proxy.output.formatting import day, printable


def next_step(row: Row) -> str:
    """The next step, in a few words; a dash if there is none."""
    if row.is_refused:
        return "refused"
    if row.state == "retired" or row.is_stranger:
        return "-"
    if row.owner is None:
        return "find the owner" + (f": ask {printable(row.user)}" if row.user is not None else "")
    end = row.effect.refused_from
    return f"move by {day(end)}" if end is not None else "move to the new call"
