"""Callers for the tests of forecasts."""

from datetime import UTC, datetime, timedelta

from proxy.callers.plan.forecast import CallerStatus
from proxy.withdrawn.lifecycle import PolicySubject

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
SUNSET = datetime(2027, 1, 1, tzinfo=UTC)


def status(
    name: str, owner: str | None = None, *, migrated: datetime | None = None, extension: datetime | None = None
) -> CallerStatus:
    """An active caller."""
    return CallerStatus(PolicySubject(name, owner, migrated, extension), "active", NOW - DAY)


NIGHTLY, SMOKE = status("nightly", owner="team-a"), status("smoke")
MOVED = status("moved", migrated=NOW - DAY)
LATE = status("late", extension=SUNSET + 30 * DAY)
NEW = CallerStatus(PolicySubject("new", is_new=True))
EVERYBODY = [NIGHTLY, SMOKE, MOVED, LATE, NEW]
