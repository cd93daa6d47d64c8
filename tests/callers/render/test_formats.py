import csv
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from proxy.callers.record import Record
from proxy.callers.render.formats import profile_to_json, to_csv, to_json, to_markdown
from proxy.callers.render.html_page import to_html
from proxy.callers.render.profile import make_profile
from proxy.callers.render.profile_text import profile_to_markdown, profile_to_text
from proxy.output.formatting import printable
from proxy.withdrawn.lifecycle import Policy
from tests.callers.lines import DAY, NOW, beats, call, nightly
from tests.callers.policies import once, rule
from tests.callers.reports import analyzed

TICK, HOUR = timedelta(microseconds=1), timedelta(hours=1)

SUNSET = NOW + 20 * DAY


def forms(
    tmp_path: Path, policy: Policy, *records: Record, rules: Any = (), first: str | None = None
) -> dict[str, str]:
    found = analyzed(tmp_path, *records, policy=policy, rules=rules)
    report = found.report
    row = next(row for row in report.rows if first in {None, row.name})
    profile = make_profile(row, found.details[row.name], "https://api.example")
    return {
        "markdown": to_markdown(report, report.rows, found.read),
        "json": "".join(to_json(report, report.rows, found.read)),
        "csv": to_csv(report, report.rows),
        "profile": profile_to_json(profile),
        "html": "".join(to_html(found, report.rows, "https://api.example", policy)),
        "text": profile_to_text(profile, report.now),
        "issue": profile_to_markdown(profile, report.now),
    }


def test_without_plans_no_format_mentions_them(tmp_path: Path) -> None:
    made = forms(tmp_path, Policy(deprecated=NOW - DAY), *nightly(9, 1))

    assert made["markdown"].splitlines()[0].endswith("| state |")
    assert "next" not in made["text"] + made["issue"]
    assert "<dt>next</dt>" not in made["html"]


def test_every_format_says_what_comes_next(tmp_path: Path) -> None:
    policy = Policy(sunset=SUNSET, brownouts=(once(NOW + 10 * HOUR, HOUR, "nightly"),))
    made = forms(tmp_path, policy, *nightly(9, 1))

    assert made["markdown"].splitlines()[0].endswith("| state | next |")
    assert made["markdown"].splitlines()[2].endswith("| active | brownout 2026-11-24 10:00 |")
    assert '<td class="x">find the owner</td>' in made["html"]
    said = "brownout 2026-11-24 10:00 until 2026-11-24 11:00; permanently refused from 2026-12-14"
    assert f"  next          {said}\n" in made["text"]
    assert f"- next: `{said}`\n" in made["issue"]
    assert f"<dt>next</dt><dd>{said}</dd>" in made["html"]
    [row] = json.loads(made["json"])["callers"]
    assert row["next"] == {"at": "2026-11-24T10:00:00Z", "kind": "brownout", "until": "2026-11-24T11:00:00Z"}
    assert row["refused"] is None
    [line] = csv.DictReader(io.StringIO(made["csv"]))
    assert (line["next_at"], line["next_kind"]) == ("2026-11-24T10:00:00Z", "brownout")


def test_every_format_says_who_is_refused(tmp_path: Path) -> None:
    made = forms(tmp_path, Policy(), *nightly(9, 1), rules=[rule("nightly", migrated=NOW - DAY)])

    assert made["markdown"].splitlines()[2].endswith("| active | refused |")
    assert "  next          refused since 2026-11-23 (migrated)\n" in made["text"]
    [row] = json.loads(made["json"])["callers"]
    assert (row["next"], row["refused"]) == (None, "migrated")


def test_a_brownout_in_progress_is_followed_by_the_next_change(tmp_path: Path) -> None:
    policy = Policy(sunset=SUNSET, brownouts=(once(NOW - HOUR, 2 * HOUR), once(NOW + DAY)))

    assert (
        "  next          refused until 2026-11-24 01:00; brownout 2026-11-25 until 2026-11-25 01:00;"
        " permanently refused from 2026-12-14\n" in forms(tmp_path, policy, *nightly(9, 1))["text"]
    )


def test_every_format_shows_strangers_apart(tmp_path: Path) -> None:
    fields = {"caller_source": "address", "client_ip": "203.0.113.9", "status": 401}
    calls = [call(NOW - DAY, f"203.0.113.9 made-up/{n}", user_agent=f"made-up/{n}", **fields) for n in range(3)]
    made = forms(tmp_path, Policy(), *beats(NOW - 40 * DAY), *calls, *nightly(9, 1))
    said = "Strangers made 3 calls from 1 network, the last at 2026-11-23 00:00. They had no token,"

    assert "| `strangers in 203.0.113.0/24` | - | - | 3 |" in made["markdown"]
    assert made["markdown"].splitlines()[3].endswith("| 100% | stranger |")
    assert f"\n- {said}" in made["markdown"]
    assert f" {said}" in made["html"].partition("<body>")[2]
    assert '<td class="s"><span>stranger</span></td>' in made["html"]
    assert "203.0.113.9 made-up/1" in made["html"]
    report = json.loads(made["json"])
    assert [row["caller"] for row in report["callers"]] == ["nightly"]
    assert [(row["caller"], row["calls"], row["state"]) for row in report["strangers"]] == [
        ("strangers in 203.0.113.0/24", 3, "stranger")
    ]
    assert report["total"] == 1
    lines = list(csv.DictReader(io.StringIO(made["csv"])))
    assert [(line["caller"], line["state"], line["retired_at"]) for line in lines[1:]] == [
        ("strangers in 203.0.113.0/24", "stranger", "")
    ]


def test_no_format_of_a_profile_takes_strangers_for_a_caller(tmp_path: Path) -> None:
    calls = [call(caller="x", caller_source="address", client_ip="203.0.113.9", status=401)]
    made = forms(tmp_path, Policy(), *calls, first="strangers in 203.0.113.0/24")

    for form in ("text", "issue"):
        assert "stranger: last call 2026-11-23 00:00; no say in the verdict" in made[form]
        assert "These are strangers." in made[form]
    assert "  names         x (1)" in made["text"]
    assert json.loads(made["profile"])["names"] == {"x": 1}


HOSTILE = "\x1b]0;pwn\x07\x9b2J\u202e\u2066\u200b\r\n=1+1"


def test_no_format_prints_a_control_character_of_a_caller(tmp_path: Path) -> None:
    names = "caller workflow org repo owner run_user user_agent client_ip error_code run endpoint method path".split()
    texts: Any = dict.fromkeys(names, HOSTILE)
    lists: Any = {"inputs": [HOSTILE], "ignored_fields": [HOSTILE]}
    hostile = call(caller_source="header", token=HOSTILE, status=200, **texts, **lists)
    failed = call(NOW - DAY, "x", caller_source="token", token=HOSTILE, status=404, client_ip=HOSTILE)
    made = forms(tmp_path, Policy(sunset=SUNSET), hostile, failed)

    for form, text in made.items():
        bare = text.replace("\r\n", "\n") if form == "csv" else text
        assert [line for line in bare.split("\n") if not line.isprintable()] == [], form
    [row, _] = csv.DictReader(io.StringIO(made["csv"]))
    assert row["caller"] == r"\u001b]0;pwn\u0007\u009b2J\u202e\u2066\u200b\u000d\u000a=1+1"


@pytest.mark.parametrize("before", ["", " ", "\u00a0\u3000", "'", '"', "\uff02", " \u201c'\u200b"])
@pytest.mark.parametrize("first", "=+-@\t\r\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b")
def test_no_cell_is_a_formula(tmp_path: Path, before: str, first: str) -> None:
    text = f"{before}{first}1+1"
    [row] = csv.DictReader(io.StringIO(forms(tmp_path, Policy(), call(caller=text, owner=text, run_user=text))["csv"]))

    assert (row["caller"], row["owner"], row["user"]) == (f"'{printable(text)}",) * 3


@pytest.mark.parametrize("name", ["nightly-build", "10.1.2.3 curl/8", "(none)", "a@b", "\u591c\uff0b", '"quoted"'])
def test_a_name_that_no_spreadsheet_would_calculate_is_left_alone(tmp_path: Path, name: str) -> None:
    [row] = csv.DictReader(io.StringIO(forms(tmp_path, Policy(), call(caller=name))["csv"]))

    assert row["caller"] == name


def test_every_format_names_the_predecessor_and_the_silent_hosts(tmp_path: Path) -> None:
    tool: dict[str, Any] = {"caller_source": "token", "client_ip": "10.1.1.1", "user_agent": "legacy/1"}
    old, new = (call(NOW - ago * DAY, f"token:{token}", token=token, **tool) for ago, token in ((9, "a"), (1, "b")))
    silent = beats(NOW - 20 * DAY, NOW - 5 * DAY, "web-2:1")
    made = forms(tmp_path, Policy(freeze=NOW - 5 * DAY), old, new, *silent, first="token:b")

    assert json.loads(made["profile"])["predecessor"] == "token:a"
    assert "  successor of  token:a\n" in made["text"]
    for form in ("markdown", "json", "html"):
        assert "token:b, the successor of token:a, is active" in made[form].replace("\\", "")
        assert "web-2 fell silent on 2026-11-19 00:00" in made[form].replace("\\", "")
    for form in ("markdown", "html"):
        assert "if nobody calls again and the silent hosts are gone" in made[form]
