"""What the tools say of a month of forty callers (tests/callers/month.py) to somebody who leads a migration."""

from tests.callers import month
from tests.callers.lines import log
from tests.callers.month import TOOLS


def test_the_month_has_forty_callers_five_owners_and_two_brownouts_and_is_always_the_same() -> None:
    assert len({tool.token for tool in TOOLS}) == 40
    assert len({rule["owner"] for rule in month.rules() if "owner" in rule}) == 5
    assert sum("note" in rule for rule in month.rules()) == 3
    assert len(month.settings()["lifecycle"]["brownouts"]) == 2
    assert log(*month.records()) == log(*month.records())
