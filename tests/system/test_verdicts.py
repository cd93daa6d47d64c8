"""Logs and the verdict that must come of each: `verdicts/README.md`."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy import cli
from proxy.commands import log_options

VERDICTS = Path(__file__).parent / "verdicts"
CASES = sorted(folder.name for folder in VERDICTS.iterdir() if folder.is_dir())
STATUS = {"safe": 0, "not_yet": 1, "cannot_tell": 3}


@pytest.fixture
def asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[Path, dict[str, Any], bool], dict[str, Any]]:
    """Asks for a report as a user would, and checks that the gate agrees with its verdict."""

    def ask(case: Path, expected: dict[str, Any], is_pinned: bool) -> dict[str, Any]:
        now = expected.pop("now")
        options = [f"--{name}={expected.pop(name)}" for name in ("since", "until") if name in expected]
        options += ["--config", str(case / "config.yaml")] if (case / "config.yaml").exists() else []
        if is_pinned:
            monkeypatch.setattr(log_options, "now", lambda: now)
        else:
            options += ["--until", now.isoformat()]
        logs = [str(file) for file in sorted(case.glob("*.jsonl"))]
        status = cli.main(["callers", "--format", "json", "--fail-unless-safe", *options, *logs])
        report: dict[str, Any] = yaml.safe_load(capsys.readouterr().out)
        assert status == STATUS[report["verdict"]]
        return report

    return ask


@pytest.mark.parametrize("case", CASES)
def test_a_log_has_its_verdict(case: str, asked: Any) -> None:
    check(VERDICTS / case, asked, is_pinned=True)


@pytest.mark.parametrize("case", [case for case in CASES if "window" not in case])
def test_until_the_last_record_a_log_has_its_verdict_later_too(case: str, asked: Any) -> None:
    check(VERDICTS / case, asked, is_pinned=False)


def check(case: Path, asked: Any, *, is_pinned: bool) -> None:
    expected = yaml.safe_load((case / "expected.yaml").read_text())
    report = asked(case, expected, is_pinned)

    assert report["verdict"] == expected.pop("verdict"), report["reasons"]
    assert all(name in " ".join(report["reasons"]) for name in expected.pop("names", [])), report["reasons"]
    if "safe_at" in expected:
        assert datetime.fromisoformat(str(report["safe_at"])) == expected.pop("safe_at")
    assert report["coverage"]["share"] >= expected.pop("coverage", 0)
    assert expected == {}, "the case has a key that nothing reads"
