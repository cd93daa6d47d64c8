from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from proxy.callers.log.lives import Lives
from proxy.callers.record import Heartbeat, Record
from proxy.callers.report.doubts import lost_calls, silent_hosts
from proxy.callers.report.report import still_calling
from tests.callers.aggregating import aggregated
from tests.callers.lines import DAY, NOW, beats, call
from tests.callers.reports import reported


def lost(number: int, ago: int, instance: str = "host:1") -> list[Heartbeat]:
    """A log of a hundred days, in which a heartbeat so many days ago says that calls left no record."""
    kept = beats(NOW - 100 * DAY, instance=instance)
    return [msgspec.structs.replace(beat, lost=number) if beat.ts == NOW - ago * DAY else beat for beat in kept]


# --- hosts that fell silent


def test_hosts_that_fell_silent_are_named_with_the_time_of_their_last_record() -> None:
    records: list[Record] = [
        *beats(NOW - 9 * DAY, NOW - 5 * DAY, "web-1:1"),
        *beats(NOW - 9 * DAY, NOW - 4 * DAY, "web-2:1"),
        call(NOW - 4.5 * DAY, instance="web-1:1"),
        *beats(NOW - 9 * DAY, instance="web-3:1"),
    ]
    found = silent_hosts(aggregated(records).lives, NOW)

    assert [doubt.reason.partition(" without")[0] for doubt in found] == [
        "web-2 fell silent on 2026-11-20 00:00",
        "web-1 fell silent on 2026-11-19 12:00",
    ]


def test_a_host_is_not_silent_before_its_next_heartbeat_is_due() -> None:
    lives = Lives(beats(NOW - 9 * DAY, NOW - DAY))

    assert silent_hosts(lives, NOW + DAY / 2 + timedelta(minutes=1)) == []
    assert len(silent_hosts(lives, NOW + DAY / 2 + timedelta(minutes=2))) == 1


@pytest.mark.parametrize(("gone", "left"), [(["web-2"], ["web-1"]), (["web-*"], []), (["web-2:1"], ["web-2", "web-1"])])
def test_hosts_that_are_known_to_be_gone_are_left_out(gone: list[str], left: list[str]) -> None:
    lives = Lives([*beats(NOW - 9 * DAY, NOW - 5 * DAY, "web-1:1"), *beats(NOW - 9 * DAY, NOW - 4 * DAY, "web-2:1")])

    assert [doubt.reason.partition(" ")[0] for doubt in silent_hosts(lives, NOW, gone)] == left


# --- lost calls


def test_whoever_left_no_record_counts_until_they_would_be_retired(tmp_path: Path) -> None:
    for ago, verdict in ((61, "cannot_tell"), (64, "safe")):
        report = reported(tmp_path, *lost(3, ago), *beats(NOW - 100 * DAY, instance="other:1"))
        assert report.verdict == verdict
    # The day before the heartbeat is a gap, and does not count as silence.
    report = reported(tmp_path, *lost(3, 61))
    assert report.safe_at == NOW + DAY


def test_lost_calls_that_are_read_twice_count_once() -> None:
    for again in (lost(3, 9), reversed(lost(3, 9))):
        found = lost_calls(Lives([*lost(3, 9), *again, *lost(1, 8, "other:1")]), NOW, lambda _: 0)
        assert found is not None
        assert found.reason.startswith("4 calls left no record")


# --- the gate


def test_the_gate_cannot_tell_either(tmp_path: Path) -> None:
    silent = beats(NOW - 30 * DAY, NOW - 20 * DAY, "web-2:1")
    for records, window, gate in (
        ([*beats(NOW - 30 * DAY), *silent], 14, "unknown"),
        (lost(1, 10), 14, "unknown"),
        (lost(1, 20), 14, "nobody"),
    ):
        assert still_calling(reported(tmp_path, *records), window * DAY) == gate
