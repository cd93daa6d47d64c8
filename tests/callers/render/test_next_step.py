from pathlib import Path

import pytest

from proxy.callers.record import Record
from proxy.callers.render.next_step import next_step
from proxy.withdrawn.lifecycle import Policy
from tests.callers.sample import DAY, NOW, analyzed, beats, call, daily


@pytest.mark.parametrize(
    ("records", "policy", "step"),
    [
        (daily("a", 9, 0), Policy(), "find the owner"),
        (daily("a", 9, 0, run_user="alice\x1b"), Policy(), r"find the owner: ask alice\u001b"),
        (daily("a", 9, 0, owner="team"), Policy(), "move to the new call"),
        (daily("a", 9, 0, owner="team"), Policy(sunset=NOW + 30 * DAY), "move by 2026-04-30"),
        (daily("a", 95, 60, owner="team"), Policy(), "-"),
        ([call("a", DAY * 70, owner="team")], Policy(), "-"),
    ],
)
def test_the_next_step_says_what_to_do(tmp_path: Path, records: list[Record], policy: Policy, step: str) -> None:
    (row,) = analyzed(tmp_path, [*beats(95), *records], policy=policy).report.callers
    assert next_step(row) == step


def test_nothing_is_left_to_do_about_refused_callers_and_strangers(tmp_path: Path) -> None:
    (row,) = analyzed(tmp_path, [*beats(95), *daily("a", 9, 0)]).report.callers
    assert next_step(row._replace(is_refused=True)) == "refused"
    assert next_step(row._replace(state="stranger")) == "-"
