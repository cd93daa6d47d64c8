import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.callers.lines import DAY, NOW, call, log
from tests.commands.running import Run, Screen, plain
from tests.commands.samples import LOG, POLICY, RULES, SUNSET, nightly, rows
from tests.system.golden import GOLDEN

pytestmark = pytest.mark.usefixtures("fixed_time")


@pytest.fixture
def policy(planned: Any) -> None:
    planned(POLICY, *RULES, records=[*LOG, call(NOW - 2 * DAY, "begun")])


def gets(run: Run, at: str, *options: str) -> dict[str, tuple[str, str]]:
    """The phase and the answer, by caller."""
    ran = run("lifecycle", "--at", at, *options)
    assert (ran.status, ran.err) == (0, "")
    titles, *found = rows(ran.out.partition("\n\n")[2])
    assert titles == ["caller", "owner", "state", "phase", "a call gets", "Deprecation", "Sunset"]
    return {row[0]: (row[3], row[4]) for row in found}


BROWNOUT = ("brownout", "410 EndpointBrownout until 2026-12-01 10:00:10 UTC")
GONE = ("sunset", "410 EndpointWithdrawn: sunset")


@pytest.mark.parametrize(
    ("at", "nightly"),
    [
        ("2026-12-01T09:59:59.999999Z", ("deprecated", "forwarded")),
        ("2026-12-01T10:00:00Z", BROWNOUT),
        ("2026-12-01T11:00:09.999999+01:00", BROWNOUT),
        ("2026-12-01T10:00:10Z", ("deprecated", "forwarded")),
        ("2026-12-31T23:59:59Z", ("deprecated", "forwarded")),
        ("2027-01-01", GONE),
        ("+37d", ("deprecated", "forwarded")),
        ("+38d", GONE),
        ("520d", ("announced", "forwarded")),
    ],
)
@pytest.mark.usefixtures("policy")
def test_lifecycle_says_what_a_call_gets_at_a_time(run: Run, at: str, nightly: tuple[str, str]) -> None:
    assert gets(run, at)["nightly"] == nightly


@pytest.mark.usefixtures("policy")
def test_lifecycle_tells_of_everybody_else_too(run: Run) -> None:
    assert gets(run, "2026-12-01T10:00:05Z") == {
        "nightly": BROWNOUT,
        "smoke": ("deprecated", "forwarded"),
        "begun": ("deprecated", "410 EndpointWithdrawn: no new callers"),
        "moved": ("sunset", "410 EndpointWithdrawn: migrated"),
        "late": ("deprecated", "410 EndpointWithdrawn: no new callers"),
    }
    assert gets(run, "2027-01-31T23:59:59Z")["nightly"] == GONE


def test_after_the_sunset_every_call_is_refused_but_the_one_with_an_extension(run: Run, planned: Any) -> None:
    planned(SUNSET, *RULES, records=[*LOG, *nightly(5, 1, "late", user_agent="late/1")])

    answers = {name: answer for name, (_, answer) in gets(run, "2027-01-31").items()}
    assert answers.pop("late") == "forwarded"
    assert {answer[:25] for answer in answers.values()} == {"410 EndpointWithdrawn: su", "410 EndpointWithdrawn: mi"}
    assert gets(run, "2027-02-01")["late"] == GONE


@pytest.mark.usefixtures("policy")
def test_lifecycle_of_one_caller_as_json(run: Run) -> None:
    ran = run("lifecycle", "--at", "2026-12-01T10:00:05Z", "--caller", "nightly", "--format", "json")

    assert json.loads(ran.out) == {
        "at": "2026-12-01T10:00:05Z",
        "callers": [
            {
                "caller": "nightly",
                "owner": None,
                "state": "active",
                "last_seen": "2026-11-23T00:00:00Z",
                "phase": "brownout",
                "outcome": "brownout",
                "status": 410,
                "error_code": "EndpointBrownout",
                "reason": "brownout",
                "until": "2026-12-01T10:00:10Z",
                "deprecation": "@1764547200",
                "sunset": "Fri, 01 Jan 2027 00:00:00 GMT",
            }
        ],
    }


@pytest.mark.usefixtures("policy")
def test_a_known_caller_that_never_called_is_told_of_as_such(run: Run) -> None:
    ran = run("lifecycle", "--caller", "late")

    [_, row] = rows(ran.out.partition("\n\n")[2])
    assert row[:3] == ["late", "team-c", "not in the log"]
    assert row[6] == "Mon, 01 Feb 2027 00:00:00 GMT"
    [found] = json.loads(run("lifecycle", "--caller", "late", "--format", "json").out)["callers"]
    assert (found["state"], found["last_seen"], found["outcome"]) == (None, None, "gone")


@pytest.mark.usefixtures("policy")
def test_a_name_that_is_nobodys_gets_the_nearest_ones(run: Run) -> None:
    ran = run("lifecycle", "--caller", "ligth")
    assert (ran.status, ran.out) == (1, "")
    assert ran.said == (
        "trigger-shim: error: ligth: no such caller in the log or in callers.known; did you mean nightly, late?\n"
    )
    assert "\\u001bzzzz" in run("lifecycle", "--caller", "\x1bzzzz").said


@pytest.mark.usefixtures("policy")
def test_now_is_where_no_time_is_given(run: Run) -> None:
    assert run("lifecycle").out.startswith("At 2026-11-24 00:00 UTC the phase is deprecated.\n")
    assert run("lifecycle", "--at", "+90s").status == 2
    assert run("lifecycle", "--at", "+2h").out.startswith("At 2026-11-24 02:00 UTC ")


@pytest.mark.parametrize("at", ["tomorrow", "+", "+5", "-2h", "++2h", "0001-01-01", "9999-12-31T23:59:59Z"])
@pytest.mark.usefixtures("policy")
def test_a_wrong_time_exits_2_and_says_what_to_write(run: Run, at: str) -> None:
    ran = run("lifecycle", f"--at={at}")

    assert (ran.status, ran.out) == (2, "")
    assert "argument --at: " in ran.err.splitlines()[-1]


@pytest.mark.usefixtures("policy")
def test_other_logs_can_be_read(run: Run, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(log(*nightly(9, 1, "elsewhere")))

    assert set(gets(run, "2026-12-01", "other")) == {"elsewhere", "moved", "late"}
    assert set(gets(run, "2026-12-01", "--caller", "elsewhere", "other")) == {"elsewhere"}
    gone = run("lifecycle", "gone")
    assert (gone.status, gone.out) == (2, "")
    assert gone.said.startswith("trigger-shim: error: gone: ")


def test_where_there_is_no_log_the_known_ones_are_told_of(run: Run, planned: Any) -> None:
    planned(SUNSET, *RULES)
    ran = run("lifecycle")

    assert ran.status == 0
    assert ran.said.startswith("trigger-shim: warning: calls.jsonl: there is no log yet")
    assert [row[0] for row in rows(ran.out.partition("\n\n")[2])[1:]] == ["moved", "late"]


@pytest.mark.parametrize("form", ["table", "json"])
def test_what_callers_have_written_stays_text(run: Run, form: str) -> None:
    ran = run("lifecycle", "--format", form, str(GOLDEN / "hostile" / "callers.jsonl"))

    assert ran.status == 0
    assert all(line.isprintable() for line in ran.out.split("\n"))


@pytest.mark.parametrize(("columns", "titles"), [(160, 7), (130, 6), (100, 4), (70, 2)])
@pytest.mark.usefixtures("policy")
def test_a_narrow_terminal_shows_the_answers_in_full(screen: Screen, columns: int, titles: int) -> None:
    shown = plain(screen(columns, "lifecycle", "--at", "2026-12-01T10:00:05Z"))

    assert len(re.split(r"  +", shown[2].strip())) == titles
    assert max(map(len, shown)) <= columns
    assert any("410 EndpointBrownout until 2026-12-01 10:00:10 UTC" in line for line in shown)
