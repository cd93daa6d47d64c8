from datetime import UTC, datetime, timedelta

from proxy.callers.render.marks import MAX_WINDOWS, Mark, policy_marks
from proxy.withdrawn.brownouts import Brownout, Once, Recurring, Window
from proxy.withdrawn.lifecycle import Policy
from tests.callers.sample import DAY, NOW

HOUR = timedelta(hours=1)


def once(begin: datetime, *callers: str) -> Brownout:
    return Brownout(Once(Window(begin, begin + HOUR)), callers)


def test_brownouts_freeze_and_sunset_are_marked_in_order() -> None:
    policy = Policy(freeze=NOW - 2 * DAY, sunset=NOW + 9 * DAY, brownouts=(once(NOW + DAY), once(NOW - 5 * DAY, "a*")))
    assert policy_marks(policy, NOW - 30 * DAY, NOW) == [
        Mark(NOW - 5 * DAY, "brownout", NOW - 5 * DAY + HOUR, "a*"),
        Mark(NOW - 2 * DAY, "freeze"),
        Mark(NOW + DAY, "brownout", NOW + DAY + HOUR),
        Mark(NOW + 9 * DAY, "sunset"),
    ]


def test_what_was_before_is_not_marked() -> None:
    policy = Policy(freeze=NOW - 40 * DAY, brownouts=(once(NOW - 40 * DAY),))
    assert policy_marks(policy, NOW - 30 * DAY, NOW) == []
    assert len(policy_marks(policy, NOW - 40 * DAY, NOW)) == 2


def test_a_recurring_brownout_is_marked_in_the_past_and_once_in_the_future() -> None:
    weekly = Brownout(Recurring("0 10 * * 1", HOUR, UTC))
    marks = policy_marks(Policy(brownouts=(weekly,)), NOW - 21 * DAY, NOW)
    assert [mark.at.isoformat()[:10] for mark in marks] == ["2026-03-16", "2026-03-23", "2026-03-30", "2026-04-06"]


def test_the_number_of_marks_is_bounded() -> None:
    always = Brownout(Recurring("* * * * *", timedelta(seconds=1), UTC))
    assert len(policy_marks(Policy(brownouts=(always,)), NOW - 300 * DAY, NOW)) == MAX_WINDOWS + 1


def test_a_mark_says_when_and_for_whom() -> None:
    midnight = NOW.replace(hour=0)
    assert Mark(midnight, "sunset").text == "sunset 2026-03-31"
    assert Mark(NOW, "brownout", NOW + HOUR, "a*").text == "brownout 2026-03-31 12:00 to 2026-03-31 13:00 for a*"
