from datetime import datetime, timedelta

import pytest

from proxy.callers.report.cuts import WEEK, Cuts
from tests.callers.lines import DAY, NOW

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.mark.parametrize(
    ("moment", "end"), [(NOW, NOW), (NOW + MINUTE, NOW + HOUR), (NOW + HOUR - MINUTE / 60, NOW + HOUR)]
)
def test_spans_end_with_the_hour_of_a_time(moment: datetime, end: datetime) -> None:
    cuts = Cuts.ending(moment, WEEK)

    assert cuts == (end - 14 * DAY, end - 7 * DAY, end)
    assert cuts.length == WEEK


def test_calls_are_split_by_the_hour_and_a_cut_belongs_to_the_later_span() -> None:
    cuts = Cuts.ending(NOW, DAY)
    calls = {begin: 10**place for place, begin in enumerate([*cuts, *(moment - HOUR for moment in cuts)])}
    hours = {moment.toordinal() * 24 + moment.hour: number for moment, number in calls.items()}

    assert cuts.split(hours) == (1 + 10**4, 10 + 10**5)
