from datetime import timedelta
from pathlib import Path

import pytest

from proxy.callers.record import Record
from proxy.callers.render.projection import project
from tests.callers.sample import DAY, NOW, analyzed, beats, call, daily

LEFT = [33 + 7 * week for week in range(8)]
"""Days ago on which one caller each called for the last time: the weeks in which the pace is measured."""


def leaving(days: int, last: list[int]) -> list[Record]:
    return [*beats(days), *calls(days, last)]


def calls(days: int, last: list[int]) -> list[Record]:
    return [record for index, ago in enumerate(last) for record in daily(f"c{index}", days - 1, ago)]


def test_callers_that_go_on_leaving_are_gone_in_time(tmp_path: Path) -> None:
    found = project(analyzed(tmp_path, leaving(150, [*LEFT, 0, 0, 0])).report)
    assert found is not None
    assert found.measured == (NOW - 87 * DAY, NOW - 31 * DAY)
    assert found.per_week == pytest.approx(1)
    assert found.none_at == NOW + timedelta(weeks=3)


def test_who_stopped_lately_is_not_known_to_be_gone(tmp_path: Path) -> None:
    found = project(analyzed(tmp_path, leaving(150, [*LEFT, 20, 10, 0])).report)
    assert found is not None
    assert found.none_at == NOW + timedelta(weeks=3)


def test_callers_that_came_slow_it_down(tmp_path: Path) -> None:
    came = [record for index in range(4) for record in daily(f"new{index}", 60, 0)]
    found = project(analyzed(tmp_path, [*leaving(150, LEFT), *came]).report)
    assert found is not None
    assert found.per_week == pytest.approx(0.5)
    assert found.none_at == NOW + timedelta(weeks=8)


@pytest.mark.parametrize(
    "records",
    [
        pytest.param(leaving(150, [0, 0]), id="nobody leaves"),
        pytest.param(leaving(150, LEFT), id="nobody is left"),
        pytest.param(leaving(150, [*LEFT[:2], 0]), id="two that left may be chance"),
        pytest.param([*beats(150, 60), *beats(40), *calls(150, [*LEFT, 0])], id="the log has a gap"),
    ],
)
def test_there_is_no_projection_without_enough_to_go_by(tmp_path: Path, records: list[Record]) -> None:
    assert project(analyzed(tmp_path, records).report) is None


def test_a_date_in_ten_years_is_none(tmp_path: Path) -> None:
    many = [call(f"m{index}", DAY * ago) for index in range(200) for ago in (140, 1)]
    assert project(analyzed(tmp_path, [*leaving(150, LEFT[:3]), *many]).report) is None


def test_a_short_log_is_enough_from_four_weeks_before_the_last_month_on(tmp_path: Path) -> None:
    assert project(analyzed(tmp_path, leaving(58, [33, 38, 41, 0])).report) is None
    assert project(analyzed(tmp_path, leaving(75, [33, 38, 41, 0])).report) is not None


def test_the_past_is_not_projected(tmp_path: Path) -> None:
    report = analyzed(tmp_path, leaving(150, [*LEFT, 0]), until=NOW - 10 * DAY).report
    assert project(report) is None
