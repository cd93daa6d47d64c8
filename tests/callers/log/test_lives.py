import random
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from proxy.callers.log.lives import Lives, key_ids
from proxy.callers.record import Heartbeat
from proxy.callers.report.coverage import Span, measure_coverage
from tests.callers.lines import DAY, NOW, beats

ZERO = datetime(2026, 11, 1, tzinfo=UTC)


def at(hours: float) -> datetime:
    return ZERO + timedelta(hours=hours)


def test_a_year_of_heartbeats_is_one_life_in_either_order() -> None:
    year = beats(NOW - 365 * DAY)
    for lives in (Lives(year), Lives(reversed(year))):
        [life] = lives
        assert (life.begin, life.last_beat, lives.beats) == (NOW - 365 * DAY, NOW, 366)


def test_a_life_ends_with_its_policy_and_its_key() -> None:
    year = beats(NOW - 9 * DAY)
    changed = [msgspec.structs.replace(beat, policy="b" if number > 4 else "a") for number, beat in enumerate(year)]

    assert [(life.first.policy, life.last_beat) for life in Lives(changed)] == [("a", NOW - 5 * DAY), ("b", NOW)]


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_heartbeats_and_repeated_ones_make_no_difference(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    found = [
        msgspec.structs.replace(beat, lost=int(chance.random() < 0.05))
        for beat in (*beats(NOW - 90 * DAY), *beats(NOW - 60 * DAY, NOW - 20 * DAY, "host:2"))
        if chance.random() < 0.9
    ]
    mixed = [*found, *chance.sample(found, 20)]
    chance.shuffle(mixed)
    period = Span(NOW - 90 * DAY, NOW)

    assert measure_coverage(Lives(mixed), period) == measure_coverage(Lives(found), period)


def test_heartbeats_say_with_which_keys_the_log_was_written() -> None:
    beats = [Heartbeat(1, at(hour), "interval", 3600, "a:1", key) for hour, key in enumerate(["a", None, "a", "b"])]
    lives = Lives(beats)

    assert key_ids(lives) == {"a", "b"}
    assert key_ids(lives, at(3)) == {"a"}
    assert key_ids(lives, at(0)) == set()
