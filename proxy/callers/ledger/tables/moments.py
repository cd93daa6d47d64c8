"""Times in the tables: microseconds since 1970, UTC."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_microseconds(moment: datetime) -> int:
    """What stands in a table for a time."""
    return (moment - EPOCH) // _MICROSECOND


def to_moment(microseconds: int) -> datetime:
    """The time that stands in a table."""
    return EPOCH + timedelta(microseconds=microseconds)
