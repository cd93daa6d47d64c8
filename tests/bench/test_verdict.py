"""A small run of the simulation, in days, not in seconds."""

import functools

import pytest

from tests.bench.verdict import TOLD, Row, new_rule, peers_rule, simulate
from tests.support.examples import examples


@functools.cache
def forgotten() -> dict[str, dict[str, Row]]:
    return simulate(examples(3), 4, rules={"now": new_rule, "peers": peers_rule}, is_forgotten=True)


@functools.cache
def weekly() -> Row:
    return simulate(5, 4, rules={"now": new_rule}, rarest_of=["weekly"])["now"]["weekly"]


@pytest.mark.parametrize("rarest", ["weekly", "fortnightly", "monthly", "quarterly", "yearly", TOLD])
def test_a_job_that_ran_three_times_at_its_rhythm_is_never_said_to_be_over(rarest: str) -> None:
    assert forgotten()["now"][rarest].known == 0


@pytest.mark.parametrize("rarest", ["weekly", "fortnightly", "monthly", TOLD])
def test_even_a_new_job_that_runs_each_month_is_never_said_to_be_over(rarest: str) -> None:
    assert forgotten()["now"][rarest].false_safe == 0


def test_nobody_waits_for_longer_than_half_a_period_more_and_a_month() -> None:
    rarer = simulate(1, 4, rules={"now": new_rule}, rarest_of=["monthly", "quarterly", "yearly"])
    assert sum(row.late for row in (weekly(), *rarer["now"].values())) == 0


def test_where_the_rarest_job_is_weekly_half_of_the_people_wait_for_less_than_45_days() -> None:
    assert 31 < weekly().median < 45


def test_the_populations_are_hard_enough_for_a_rule_that_knows_no_rhythm() -> None:
    assert all(forgotten()["peers"][rarest].known > 0 for rarest in ("monthly", "quarterly"))
