import json
from typing import Any

import pytest

from tests.callers.lines import DAY, NOW, beats, call
from tests.commands.running import Run
from tests.commands.samples import UNTIL, nightly

HIT: dict[str, Any] = {"outcome": "brownout", "status": 410, "user_agent": "nightly/1"}
RECORDS = [*beats(NOW - 40 * DAY), *nightly(20, 6), call(NOW - 5 * DAY, **HIT)]
BROWNOUT = {"from": "2026-11-19T00:00:00Z", "to": "2026-11-19T00:10:00Z"}


@pytest.mark.parametrize("form", ["table", "json", "markdown"])
def test_a_past_brownout_is_shown_in_every_format(run: Run, planned: Any, form: str) -> None:
    planned({"brownouts": [BROWNOUT]}, records=RECORDS)
    ran = run("brownouts", *UNTIL, "--format", form)

    assert ran.status == 0
    assert "nightly" in ran.out
    assert "silent" in ran.out
    if form == "json":
        assert len(json.loads(ran.out)["brownouts"]) == 1


def test_the_period_chooses_the_windows(run: Run, planned: Any) -> None:
    planned({"brownouts": [BROWNOUT]}, records=RECORDS)

    assert run("brownouts", *UNTIL, "--since", "2026-11-20").out == "No brownout ended in this time.\n"


def test_where_there_is_no_log_one_line_says_so(run: Run) -> None:
    ran = run("brownouts")

    assert (ran.status, ran.out) == (2, "")
    assert ran.said.startswith("trigger-shim: error: logs/callers.jsonl: there is no log yet")
