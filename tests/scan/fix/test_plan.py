"""What becomes of each finding, and why."""

import pytest

from proxy.scan import calls
from proxy.scan.finding import Confidence, Located
from proxy.scan.fix.check import Check
from proxy.scan.fix.plan import plan
from proxy.scan.patterns import find
from tests.scan.fix.planning import NEW, OLD, changed, planned, refused

RUNS = "/acme/shop/cicd/runs"
PIECES = "its path is put together from pieces"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("README.md", "`GET https://api.sourcecraft.tech{}/1?page=2`"),
        ("a.go", 'http.Get("https://api.sourcecraft.tech{}")'),
        ("a.json", '{{"url": "https:\\/\\/api.sourcecraft.tech{}"}}'),
        ("a.py", 'requests.get(f"https://api.sourcecraft.tech{}/{{run}}")'),
        ("a.sh", "curl -X DELETE https://api.sourcecraft.tech/acme/shop\ncurl https://api.sourcecraft.tech{}"),
    ],
)
def test_a_path_is_changed_in_any_file(file: str, text: str) -> None:
    new = changed(text.format(RUNS), file)
    assert new == text.format(f"/repos{RUNS}").replace("tech/acme", "tech/repos/acme")


def test_a_call_that_is_only_likely_is_changed_if_somebody_looks_at_it() -> None:
    text = "curl $API/$ORG/shop/cicd/runs\n"
    assert refused(text, "a.sh") == ["only with --unsafe: it is only likely to be a withdrawn call"]
    assert changed(text, "a.sh", unsafe=True) == "curl $API/repos/$ORG/shop/cicd/runs\n"


def test_so_is_a_trigger_on_another_host() -> None:
    text = f"curl -X POST {OLD.replace('api.sourcecraft.tech', 'proxy.example')} >/dev/null\n"
    assert refused(text, "a.sh") == ["only with --unsafe: it is only likely to be a withdrawn call"]


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("a.rb", "get(org + '/' + repo + '/cicd/runs/1') # https://api.sourcecraft.tech", PIECES),
        ("a.go", "ci := sdk.CIApi{}\nci.RunWorkflow(ctx)", "it is a method of a generated client: use the client of the new API"),
        ("a.sh", "W=ci_workflows; curl $API/$ORG/$REPO/$W/", "it is not a whole call"),
        ("a.sh", "jq .flux_public_id", "the call whose answer it is was not changed, or is in another file"),
        ("a.sh", f"U={OLD}", "it is in no call that can be read"),
        ("a.py", "curl", None),
    ],
)  # fmt: skip
def test_each_finding_that_is_not_changed_has_a_reason(file: str, text: str, reason: str | None) -> None:
    reasons = refused(text, file, unsafe=True)
    assert set(reasons) == ({reason} if reason else set())
    assert changed(text, file, unsafe=True) == text


def test_a_call_that_can_be_translated_shows_the_new_one() -> None:
    (outcome,) = planned(f"wget {OLD} --post-data '{{}}'", "a.sh").outcomes
    assert outcome.refusal.new_call.startswith(f"curl -X POST {NEW}")


def test_findings_that_are_not_asked_for_are_not_changed() -> None:
    text = f"curl -X POST {OLD}\ncurl https://api.sourcecraft.tech{RUNS}\n"
    second = [Located("a.sh", finding) for finding in find(text)][1:]
    new = plan(text.encode(), "a.sh", second, unsafe=True).new_content.decode()
    assert new == text.replace(RUNS, f"/repos{RUNS}")


def test_a_file_that_has_changed_since_is_left_alone() -> None:
    found = [Located("a.sh", finding) for finding in find(f"curl -X POST {OLD}")]
    left = plan(b"curl\n", "a.sh", found, unsafe=True)
    assert left.new_content == left.content
    assert left.outcomes[0].refusal.reason == "the file has changed since it was read"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1251"])
def test_the_encoding_stays(encoding: str) -> None:
    text = f"# привет\ncurl -X POST {OLD}"
    content = text.encode(encoding)
    found = [
        Located("a.sh", finding)
        for finding in find(content.decode(encoding if encoding != "cp1251" else "utf-8", "replace"))
    ]
    new = plan(content, "a.sh", found, unsafe=False)
    assert NEW in new.new_content.decode(encoding)
    assert new.new_content.startswith(content[:20])


def test_a_file_that_is_not_what_its_mark_says_is_refused() -> None:
    found = [Located("a.sh", finding) for finding in find(f"curl -X POST {OLD}")]
    (outcome,) = plan(b"\xff\xfea", "a.sh", found, unsafe=True).outcomes
    assert outcome.refusal.reason == "the file is not in the encoding of its byte order mark"


def test_certain_is_what_is_changed_without_a_look() -> None:
    (outcome,) = planned(f"curl -X POST {OLD}", "a.sh").outcomes
    assert (outcome.located.finding.hit.confidence, outcome.change and outcome.change.caution) == (
        Confidence.CERTAIN,
        None,
    )


def test_a_file_that_the_scan_has_not_examined_whole_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "LONGEST", calls.LONGEST // 10)
    text = "GET https://api.sourcecraft.tech/acme/shop/cicd/runs\n" * 900
    assert set(refused(text, "a.md", unsafe=True)) == {"the file has too many such words to be examined whole"}


def test_changes_that_do_not_hold_are_not_looked_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0

    def hold(*_: object) -> bool:
        nonlocal read
        read += 1
        return False

    monkeypatch.setattr(Check, "_hold", hold)
    assert len(refused(f"curl -X POST {OLD}\n" * 200, "a.sh")) == 200
    assert read <= 64
