"""Logs and policies that the commands are tried on."""

import re
from typing import Any

from proxy.callers.record import Record
from tests.callers.lines import DAY, NOW, beats, call

SUNSET = {"deprecated": "2025-12-01", "sunset": "2027-01-01"}
UNTIL = ("--until", "2026-11-24")


def nightly(since: int, until: int, caller: str = "nightly", **fields: Any) -> list[Record]:
    return [call(NOW - days * DAY, caller, **fields) for days in range(since, until - 1, -1)]


def rows(out: str) -> list[list[str]]:
    """The cells of a plain table, under the line of what has changed, if there is one."""
    table = re.sub(r"\Asince .*\n\n", "", out).partition("\n\n")[0]
    return [re.split(r"  +", line) for line in table.splitlines()]


def known(name: str, **values: Any) -> dict[str, Any]:
    return {"name": name, "agent": f"{name}/*", **values}


LOG = [
    *beats(NOW - 80 * DAY),
    *nightly(40, 1, user_agent="nightly/1"),
    *nightly(80, 40, "moved", user_agent="moved/1"),
    *nightly(40, 2, "smoke", user_agent="smoke/1"),
]
POLICY = SUNSET | {
    "freeze": "2026-11-10",
    "brownouts": [{"from": "2026-12-01T10:00:00Z", "to": "2026-12-01T10:00:10Z", "callers": "nightly"}],
}
RULES = [known("moved", owner="team-b", migrated="2026-11-20"), known("late", owner="team-c", extension="2027-02-01")]
