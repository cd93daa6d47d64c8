from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from proxy.callers.report.hours import Hours

BEGIN = 739_000 * 24
COUNTED = st.dictionaries(st.integers(BEGIN, BEGIN + 24 * 40), st.integers(1, 10**9))


def hours(counted: dict[int, int]) -> Hours:
    made = Hours()
    for hour, calls in counted.items():
        made.add(hour, calls)
    return made


def same(made: Hours, counted: Counter[int]) -> bool:
    days: Counter[int] = Counter()
    for hour, calls in counted.items():
        days[hour // 24] += calls
    return list(made) == sorted(counted) and dict(made.by_day()) == days


@given(COUNTED, COUNTED)
def test_hours_and_days_are_those_that_were_added(one: dict[int, int], other: dict[int, int]) -> None:
    made = hours(one)
    for hour, calls in other.items():
        made.add(hour, calls)

    assert same(made, Counter(one) + Counter(other))


@given(COUNTED, COUNTED)
def test_merging_is_the_same_as_adding(one: dict[int, int], other: dict[int, int]) -> None:
    made, given_ = hours(one), hours(other)
    made.merge(given_)

    assert same(made, Counter(one) + Counter(other))
    assert same(given_, Counter(other))
