"""Sentences on broken promises, and on those who have no say in the verdict."""

import contextlib
from collections.abc import Callable
from http import HTTPStatus

from proxy.callers.report.report import CallerReport
from proxy.callers.report.rows import Row
from proxy.callers.report.strangers import WHO
from proxy.output.formatting import date, format_counts, minute, pluralize, printable, shortened

_MOST = 10
"""How many callers are named."""


def said_apart(report: CallerReport, quote: Callable[[str], str] = printable) -> list[str]:
    """Sentences on broken promises, and on those who have no say in the verdict."""
    lines = [_broken_promises(report, quote), *_failing_lines(report, quote), _ignored_line(report, quote)]
    return [line for line in (*lines, _stranger_line(report)) if line is not None]


def _broken_promises(report: CallerReport, quote: Callable[[str], str] = printable) -> str | None:
    """A sentence on the callers that still call, although their owners said they would not; None if there are none."""
    rows = [row for row in report.callers if row.has_broken_promise and row.state != "retired"]
    if not rows:
        return None
    names = [f"{quote(_who(row))} ({date(row.promised)})" for row in rows[:_MOST] if row.promised is not None]
    more = [f"and {len(rows) - _MOST} more"] if len(rows) > _MOST else []
    return f"Promised to have stopped, and still called: {', '.join(names + more)}."


def _who(row: Row) -> str:
    """The name of a caller, and whose it is."""
    return shortened(row.name) + (f" of {shortened(row.owner)}" if row.owner is not None else "")


def _failing_lines(report: CallerReport, quote: Callable[[str], str] = printable) -> list[str]:
    """Sentences on the callers of which no call ever worked, and what failed."""
    rows = [row for row in report.failing if row.calls]
    if not rows:
        return []
    more = [f"  and {len(rows) - _MOST} more"] if len(rows) > _MOST else []
    return [
        f"No call of {pluralize(len(rows), 'caller')} ever worked. They lose nothing by the removal, and have no say in"
        " the verdict:",
        *(f"  {quote(_who(row))}: {_what_failed(row)}" for row in rows[:_MOST]),
        *more,
    ]


def _what_failed(row: Row) -> str:
    """The statuses of calls that failed, each with their number."""
    return format_counts((_status(status), calls) for status, calls in row.failures.items())


def _status(status: int) -> str:
    with contextlib.suppress(ValueError):
        return f"{status} {HTTPStatus(status).phrase}"
    return str(status)


def _ignored_line(report: CallerReport, quote: Callable[[str], str] = printable) -> str | None:
    """A sentence on the callers that a rule says to ignore; None if there are none."""
    rows = [row for row in report.ignored if row.calls]
    if not rows:
        return None
    names = ", ".join([quote(shortened(row.name)) for row in rows[:_MOST]] + ["…"] * (len(rows) > _MOST))
    calls = pluralize(sum(row.calls for row in rows), "call")
    return f"Ignored callers made {calls}: {names}. They have no say in the verdict."


def _stranger_line(report: CallerReport) -> str | None:
    """A sentence on the calls of strangers; None if there are none."""
    if not report.strangers:
        return None
    last = minute(max(row.last_seen for row in report.strangers))
    calls, networks = pluralize(report.stranger_calls, "call"), pluralize(len(report.strangers), "network")
    return f"Strangers made {calls} from {networks}, the last at {last}. {WHO}"
