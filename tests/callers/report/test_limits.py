"""However many callers, networks, groups and values a log holds, a report keeps only so many of each."""

import random
from collections.abc import Iterable
from typing import Any

import pytest

from proxy.callers.record import CallRecord, Heartbeat, Record
from proxy.callers.report.aggregator import DEFAULT_LIMITS, Aggregator, Dimension
from proxy.callers.report.coverage import Span, measure_coverage
from proxy.callers.report.policy_effect import PolicyEffect
from proxy.callers.report.reader import decode
from proxy.callers.report.rows import caller_rows
from proxy.callers.report.tally import Tally
from tests.callers.lines import DAY, NOW, beats, call, line
from tests.callers.policies import rule
from tests.callers.report.test_strangers import TOKEN, failed, stranger, with_token


def aggregated(records: Iterable[Record], by: Dimension = "caller", *, batch: int = 3, **limits: int) -> Aggregator:
    """Records counted in batches, with narrow limits."""
    found = Aggregator(
        [rule("nightly")], by, wants_detail=lambda _: True, limits=DEFAULT_LIMITS._replace(**limits), latest=NOW + DAY
    )
    lines = [line(record) for record in records]
    found.add(([decode(text) for text in part], part) for part in _parts(lines, batch))
    return found


def _parts(lines: list[bytes], size: int) -> list[list[bytes]]:
    return [lines[start : start + size] for start in range(0, len(lines), size)]


def calls_of(found: Aggregator) -> dict[str, int]:
    return {tally.caller: tally.calls for tally in found.tallies().values()}


def test_callers_beyond_the_limit_share_a_row_that_holds_the_verdict() -> None:
    records = [with_token(NOW - 60 * DAY + n * DAY, token=f"{n:012x}") for n in range(30)]
    tallies = aggregated(records, callers=3).tallies()

    assert {name: tally.calls for (_, name), tally in tallies.items()} == {
        "token:000000000000": 1,
        "token:000000000001": 1,
        "token:000000000002": 1,
        "(others)": 27,
    }
    coverage = measure_coverage(beats(NOW - 70 * DAY), Span(NOW - 70 * DAY, NOW))
    rows = caller_rows(tallies.values(), coverage, dict.fromkeys((name for _, name in tallies), PolicyEffect()))
    others = next(row for row in rows if row.name == "(others)")
    # Each may be a monthly job, however often all of them called.
    assert (others.state, others.interval, others.retired_at) == ("quiet", None, NOW - 31 * DAY + 62 * DAY)


def test_a_caller_that_a_rule_names_always_has_a_row() -> None:
    records = [*(with_token(token=f"{n:012x}") for n in range(9)), stranger(agent="nightly/1")]

    assert calls_of(aggregated(records, callers=1))["nightly"] == 1


def test_networks_beyond_the_limit_share_a_row() -> None:
    found = aggregated([stranger(client_ip=f"10.1.{n}.1") for n in range(9)], networks=2)

    assert calls_of(found) == {
        "strangers in 10.1.0.0/24": 1,
        "strangers in 10.1.1.0/24": 1,
        "strangers elsewhere": 7,
    }
    assert {tally.source for tally in found.tallies().values()} == {"stranger"}


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
