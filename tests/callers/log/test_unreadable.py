from datetime import datetime, timedelta

import pytest

from proxy.callers.log.unreadable import Unreadable
from proxy.callers.report.doubts import Doubt, unreadable_parts
from proxy.callers.report.rhythm import UNKNOWN_RETIRED_AFTER
from tests.callers.lines import DAY, NOW

LIMIT = timedelta(seconds=UNKNOWN_RETIRED_AFTER)


def doubt(unreadable: Unreadable) -> Doubt | None:
    """What is in doubt if the log was kept all the time."""
    return unreadable_parts(unreadable, NOW, lambda moment: max((NOW - moment).total_seconds(), 0))


def test_nothing_is_in_doubt_if_all_was_read() -> None:
    assert doubt(Unreadable()) is None


@pytest.mark.parametrize("last", [NOW - LIMIT, NOW - DAY, NOW, NOW + DAY])
def test_it_matters_until_somebody_unknown_would_be_retired(last: datetime) -> None:
    unreadable = Unreadable()
    unreadable.add("a:7", last)

    found = doubt(unreadable)
    assert found is not None
    assert found.last == min(NOW, last)
    assert found.safe_at == found.last + LIMIT


def test_it_does_not_matter_after_that() -> None:
    unreadable = Unreadable()
    unreadable.add("a:7", NOW - LIMIT - timedelta(seconds=1))

    assert doubt(unreadable) is None


def test_silence_counts_only_where_the_log_proves_it() -> None:
    unreadable = Unreadable()
    unreadable.add("a:7", NOW - 2 * LIMIT)
    found = unreadable_parts(unreadable, NOW, lambda _: UNKNOWN_RETIRED_AFTER - 60)

    assert found is not None
    assert found.safe_at == NOW + timedelta(minutes=1)


def test_what_cannot_be_dated_may_have_been_written_now() -> None:
    unreadable = Unreadable()
    unreadable.add("a:7", None)

    assert doubt(unreadable) == Doubt(
        "1 part of the log that may be a call cannot be read: a:7; the last was written at a time that nobody knows"
        " and matters until 2027-01-25",
        NOW,
        NOW + LIMIT,
    )


def test_the_first_places_of_those_that_matter_are_named() -> None:
    unreadable = Unreadable()
    unreadable.add("old:1", NOW - 99 * DAY, 1000)
    for number in range(10):
        unreadable.add(f"a:{number}", NOW - 3 * DAY)
    unreadable.add("b:1", NOW - DAY, 100)

    found = doubt(unreadable)
    assert found is not None
    assert found.reason == (
        "110 parts of the log that may be calls cannot be read: a:0, a:1, a:2 and 107 more;"
        " the last was written by 2026-11-23 00:00 and matters until 2027-01-24"
    )


def test_it_takes_no_more_memory_for_more_of_them() -> None:
    unreadable = Unreadable()
    for number in range(100_000):
        unreadable.add(f"a:{number}", NOW)

    [day] = unreadable.days.values()
    assert (day.count, day.places) == (100_000, ["a:0", "a:1", "a:2"])
