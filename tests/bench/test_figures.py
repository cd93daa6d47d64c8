import math

import pytest

from tests.bench.comparison import Comparison, Round
from tests.bench.figures import Ratio, markdown, ratio, short, text
from tests.bench.load import Sample
from tests.bench.workers import Round as Worked
from tests.bench.workers import Scaling


def test_a_ratio_is_of_the_medians_and_says_what_the_rounds_were_between() -> None:
    found = ratio([100, 300, 200], [10, 20, 40])
    assert found == Ratio(10, 5, 15)
    assert found.whole == "10 x (5.0 to 15)"


@pytest.mark.parametrize("theirs", [[0.0, 0.0], [math.nan, math.nan]])
def test_a_ratio_to_nothing_is_none(theirs: list[float]) -> None:
    assert str(ratio([1, 2], theirs)) == ratio([1, 2], theirs).whole == "-"


def test_a_round_without_an_answer_is_not_what_the_others_were_between() -> None:
    assert ratio([10, 20, 30], [0, 10, 10]).whole == "2.0 x (2.0 to 3.0)"


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0314, "0.031"), (0.5, "0.50"), (2.04, "2.0"), (10.4, "10"), (1234.5, "1234"), (0, "0")]
)
def test_a_figure_has_two_places_that_matter(value: float, shown: str) -> None:
    assert short(value) == shown


def test_a_table_is_shown_in_columns_or_as_markdown() -> None:
    rows = [["", "plain"], ["calls a second", "10 x"]]
    assert text(rows) == "                plain\ncalls a second   10 x"
    assert markdown(rows) == "| | plain |\n| --- | --- |\n| calls a second | 10 x |"


def _round(calls: int, p50: float, p99: float, failed: int, peak: float) -> Round:
    return Round({64: Sample(calls, 2.0, p50, p99, failed, 0.1)}, {64: 0.9}, peak)


def test_the_proxy_is_held_to_each_peer() -> None:
    found = Comparison(
        {
            "trigger-shim": [_round(4000, 10, 20, 0, 40), _round(6000, 8, 16, 1, 50)],
            "plain": [_round(400, 100, 400, 2, 60), _round(600, 80, 320, 3, 60)],
        }
    )
    assert found.summary() == [["connections", "calls a second to plain", "p99 to plain"], ["64", "10 x", "0.050 x"]]
    assert found.ratios() == [
        ["trigger-shim to", "plain"],
        ["calls a second, 64 connections", "10 x (10 to 10)"],
        ["p50, 64 connections", "0.10 x (0.10 to 0.10)"],
        ["p99, 64 connections", "0.050 x (0.050 to 0.050)"],
    ]
    assert found.absolute()[1:] == [
        ["trigger-shim", "64", "2500", "9.0", "18", "1", "90%", "50"],
        ["plain", "64", "250", "90", "360", "5", "90%", "60"],
    ]


def _scaling(*, free: bool, cost: float = 0.44) -> Scaling:
    one = Worked(rate=2500, p99=30, failed=0, cost=0.4, others=0.1, busier=1, fuller=1)
    two = Worked(rate=3500, p99=40, failed=2, cost=cost, others=0.1, busier=0.5, fuller=0.6)
    return Scaling({"one worker": [one, one], "two workers": [two, two._replace(fuller=0.7)]}, free=free)


def test_what_two_workers_do_is_held_to_what_the_cores_can() -> None:
    # One call takes half a millisecond of two cores: 4,000 a second at most, 1.6 times what one worker does.
    measured, expected = _scaling(free=False).verdict().splitlines()
    assert "answer 1.4 x (1.4 to 1.4) the calls of one, where 1.6 x is all" in measured
    # Two cores do 2 / 1.1 times the calls of one, where each costs 1.1 times as much.
    assert "to be expected of two cores of their own: 1.8 x, since a call costs 1.1 x" in expected
    assert _scaling(free=False).rows()[3:] == [
        ["failed", "0", "4"],
        ["of a core for a call, the proxy", "0.40 ms", "0.44 ms"],
        ["of a core for a call, load and service", "0.10 ms", "0.10 ms"],
        ["of the work, the busier worker", "100%", "50%"],
        ["of the connections, the fuller one at most", "100%", "70%"],
    ]


def test_where_a_call_costs_less_with_two_workers_the_cores_can_do_more() -> None:
    assert "where 2.0 x is all" in _scaling(free=False, cost=0.3).verdict()


def test_with_cores_of_their_own_it_is_measured() -> None:
    assert _scaling(free=True).verdict() == (
        "Measured with two cores of their own: two workers answer 1.4 x (1.4 to 1.4) the calls of one."
    )
