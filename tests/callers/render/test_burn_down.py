import io
import json

from proxy.callers.render.burn_down import days_to_csv, days_to_json, days_to_markdown, show_days
from proxy.callers.report.burn_down import BurnDownDay
from tests.callers.lines import DAY, NOW

DAYS = [BurnDownDay(NOW - DAY, 12, 3, 2, 0.5, ["freeze", "brownout"]), BurnDownDay(NOW, 0, 2, 1, 1.0, [])]


def test_every_format_has_a_line_a_day() -> None:
    out = io.StringIO()
    show_days(DAYS, out)

    assert out.getvalue().splitlines() == [
        "day         calls  callers  calling  coverage  marks",
        "2026-11-23     12        3        2     50.0%  freeze, brownout",
        "2026-11-24      0        2        1      100%  -",
    ]
    assert days_to_csv(DAYS).splitlines() == [
        "day,calls,callers,calling,coverage,marks",
        "2026-11-23,12,3,2,0.5,freeze brownout",
        "2026-11-24,0,2,1,1.0,",
    ]
    assert days_to_markdown(DAYS).splitlines()[2] == "| 2026-11-23 | 12 | 3 | 2 | 50.0% | freeze, brownout |"
    assert json.loads(days_to_json(DAYS))["days"][0] == {
        "day": "2026-11-23",
        "calls": 12,
        "callers": 3,
        "calling": 2,
        "coverage": 0.5,
        "marks": ["freeze", "brownout"],
    }
