import csv
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from proxy.callers.record import Record
from proxy.callers.render.formats import to_csv, to_json, to_markdown
from proxy.callers.render.html_page import to_html
from proxy.callers.render.profile import make_profile
from proxy.callers.render.profile_text import profile_to_markdown, profile_to_text
from proxy.withdrawn.lifecycle import Policy
from tests.callers.lines import DAY, NOW, nightly
from tests.callers.policies import once, rule
from tests.callers.reports import analyzed

TICK, HOUR = timedelta(microseconds=1), timedelta(hours=1)

SUNSET = NOW + 20 * DAY


def forms(tmp_path: Path, policy: Policy, *records: Record, rules: Any = ()) -> dict[str, str]:
    found = analyzed(tmp_path, *records, policy=policy, rules=rules)
    report = found.report
    first = make_profile(report.callers[0], found.details[report.callers[0].name], "https://api.example")
    return {
        "markdown": to_markdown(report, report.rows, found.read),
        "json": to_json(report, report.rows, found.read),
        "csv": to_csv(report, report.rows),
        "html": to_html(found, report.rows, "https://api.example"),
        "text": profile_to_text(first, report.now),
        "issue": profile_to_markdown(first, report.now),
    }


def titles(html: str) -> list[str]:
    root = ET.fromstring(html)  # noqa: S314 - our own page
    return ["".join(cell.itertext()) for cell in root.iter("th") if cell.get("scope") == "col"]


def test_without_plans_no_format_mentions_them(tmp_path: Path) -> None:
    made = forms(tmp_path, Policy(deprecated=NOW - DAY), *nightly(9, 1))

    assert made["markdown"].splitlines()[0].endswith("| state |")
    assert "next" not in titles(made["html"])
    assert "next" not in made["text"] + made["issue"] + made["html"].partition("<body>")[2]


def test_every_format_says_what_comes_next(tmp_path: Path) -> None:
    policy = Policy(sunset=SUNSET, brownouts=(once(NOW + 10 * HOUR, HOUR, "nightly"),))
    made = forms(tmp_path, policy, *nightly(9, 1))

    assert made["markdown"].splitlines()[0].endswith("| state | next |")
    assert made["markdown"].splitlines()[2].endswith("| active | brownout 2026-11-24 10:00 |")
    assert "next" in titles(made["html"])
    assert "<td>brownout 2026-11-24 10:00</td>" in made["html"]
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
