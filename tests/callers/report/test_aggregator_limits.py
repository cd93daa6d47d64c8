"""However many callers, networks, groups and values a log holds, a report keeps only so many of each."""

import random
from typing import Any

import pytest

from proxy.callers.record import CallRecord, Heartbeat
from proxy.callers.report.tally import Tally
from tests.callers.aggregating import aggregated, calls_of
from tests.callers.lines import DAY, NOW, beats, call
from tests.callers.strangers import TOKEN, failed, stranger, with_token


def test_groups_beyond_the_limit_share_a_row_but_callers_keep_theirs() -> None:
    records = [with_token(token=TOKEN[:-1] + str(n % 2), workflow=f"w{n}") for n in range(9)]
    tallies = aggregated(records, "workflow", groups=4).tallies()

    assert len(tallies) == 6
    assert sum(tally.calls for (group, _), tally in tallies.items() if group == "(others)") == 5
    assert {name for _, name in tallies} == {"token:0123456789a0", "token:0123456789a1"}


def test_values_beyond_the_limit_are_others() -> None:
    found = aggregated([with_token(user_agent=f"agent/{n}", client_ip=f"10.1.1.{n}") for n in range(99)], texts=5000)
    [tally] = found.tallies().values()
    detail = found.details[tally.caller]

    for counter in (tally.counts["agents"], detail.counts["addresses"]):
        assert 1 < len(counter) < 50
        assert counter["(others)"] > 50
        assert sum(counter.values()) == 99
    assert len(detail.last_calls) <= 10


def test_heartbeats_beyond_the_limit_are_dropped_and_counted() -> None:
    found = aggregated(beats(NOW - 30 * DAY), heartbeats=10)

    assert (len(found.heartbeats), found.dropped_heartbeats) == (10, 21)


def test_strangers_without_a_token_do_not_wait_for_a_proof() -> None:
    found = aggregated([stranger(agent=f"{n}") for n in range(7)], keys=6, batch=7)

    assert found._counts == {}


def test_a_proof_may_come_long_after_the_calls_that_it_is_for() -> None:
    records = [failed(), *(stranger(agent=f"{n}") for n in range(99)), with_token(), failed()]

    assert calls_of(aggregated(records, keys=6)) == {"strangers in 203.0.113.0/24": 99, f"token:{TOKEN}": 3}


@pytest.mark.parametrize(("limits", "most"), [({"keys": 6}, 9), ({"pending": 4000}, 15)])
def test_too_many_tokens_without_a_proof_are_those_of_strangers(limits: Any, most: int) -> None:
    found = aggregated([failed(token=f"{n:012x}") for n in range(99)], **limits)

    assert len(found._counts) <= most
    assert calls_of(found) == {"strangers in 203.0.113.0/24": 99}


@pytest.mark.parametrize("limits", [{"keys": 5}, {"pending": 2000}, {"keys": 1, "pending": 1}])
@pytest.mark.parametrize("by", ["caller", "agent"])
def test_what_is_added_up_in_between_makes_no_difference(by: Any, limits: dict[str, int]) -> None:
    chance = random.Random(4)  # noqa: S311
    records: list[CallRecord | Heartbeat] = [
        chance.choice((call, stranger, with_token))(
            NOW - chance.random() * 40 * DAY, user_agent=chance.choice("ab"), repo=chance.choice("cd")
        )
        for _ in range(200)
    ]

    def seen(tally: Tally) -> Any:
        return tally.calls, tally.counts, list(tally.hours), tally.first_seen, tally.last_seen, tally.errors

    whole, parts = (aggregated(records, by, **some).tallies() for some in ({}, limits))
    assert {name: seen(tally) for name, tally in whole.items()} == {name: seen(tally) for name, tally in parts.items()}
