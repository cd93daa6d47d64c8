from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.output.formatting import (
    ASCII_BLOCKS,
    duration,
    format_counts,
    interval,
    minute,
    percent,
    printable,
    shortened,
    sparkline,
)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0s"),
        (0.6, "1s"),
        (59, "59s"),
        (60, "1m"),
        (3725, "1h 2m"),
        (86400, "1d"),
        (90061, "1d 1h"),
        (2678400, "31d"),
    ],
)
def test_a_duration_is_said_in_its_two_largest_units(seconds: float, said: str) -> None:
    assert duration(seconds) == interval(seconds) == said


def test_an_interval_that_is_not_known_is_a_dash() -> None:
    assert interval(None) == "-"


def test_a_time_is_said_to_the_minute() -> None:
    assert minute(datetime(2026, 11, 24, 8, 5, 59, tzinfo=UTC)) == "2026-11-24 08:05"


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0, "0%"),
        (0.0001, "<0.1%"),
        (0.001, "0.1%"),
        (0.125, "12.5%"),
        (0.9989, "99.9%"),
        (0.99999, ">99.9%"),
        (1, "100%"),
    ],
)
def test_some_is_never_none_and_never_all(share: float, said: str) -> None:
    assert percent(share) == said


@pytest.mark.parametrize(
    ("values", "width", "line"),
    [
        ([0, 1, 4, 8], 4, " ▁▄█"),
        ([8, 0, 0, 1], 4, "█  ▁"),
        ([1, 1000], 4, "▁█"),
        ([1, 1, 1, 1], 2, "██"),
        ([1, 2, 2, 2, 2], 3, "▂██"),  # the oldest stretch is the one that is not full
        ([0, 0], 4, "  "),
        ([], 4, ""),
    ],
)
def test_a_sparkline_is_a_trend_whose_newest_value_stands_last(values: list[int], width: int, line: str) -> None:
    assert sparkline(values, width) == line


def test_a_sparkline_can_do_without_unicode() -> None:
    assert sparkline([0, 1, 8], 8, ASCII_BLOCKS) == " .@"


@given(st.lists(st.integers(0, 10**9), max_size=800), st.integers(1, 60))
def test_a_sparkline_never_hides_a_call_and_never_is_too_wide(values: list[int], width: int) -> None:
    line = sparkline(values, width)

    assert len(line) <= width
    assert (line.strip() != "") == any(values)
    if any(values):
        assert "█" in line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("nightly build, Ünïcode 夜", "nightly build, Ünïcode 夜"),
        ("\x1b[2J\x07", "\\u001b[2J\\u0007"),
        ("a\r\nb\tc", "a\\u000d\\u000ab\\u0009c"),
        ("\u202egnp.exe\u2028\x7f\x9b", "\\u202egnp.exe\\u2028\\u007f\\u009b"),
        ("\U000e0041", "\\udb40\\udc41"),
        ("\ud800", "\\ud800"),
    ],
)
def test_text_of_somebody_else_moves_no_cursor(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_printable_text_is_printable_and_one_line(text: str) -> None:
    assert printable(text).isprintable()


def test_values_are_listed_by_how_often_they_came() -> None:
    counts = {"b": 2, "a": 2, "c": 5, "d\n": 1, "e": 1}

    assert format_counts(counts.items(), most=4) == "c (5), a (2), b (2), d\\u000a (1), and 1 more"


def test_a_long_text_is_shortened() -> None:
    assert shortened("x" * 80) == "x" * 80
    assert shortened("x" * 81) == "x" * 79 + "…"
