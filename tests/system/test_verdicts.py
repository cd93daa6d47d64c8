"""Logs and the verdict that must come of each: `verdicts/README.md`."""

import json
import os
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from proxy import cli
from proxy.callers.log.lives import deadline
from proxy.callers.log.reader import Reader
from proxy.callers.record import Heartbeat
from proxy.commands import log_options

VERDICTS = Path(__file__).parent / "verdicts"
CASES = sorted(folder.name for folder in VERDICTS.iterdir() if folder.is_dir())
MINUTE = timedelta(minutes=1)
STATUS = {"safe": 0, "not_yet": 1, "cannot_tell": 3}


@pytest.fixture
def asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[Path, dict[str, Any], bool], dict[str, Any]]:
    """Asks for a report as a user would, and checks that the gate agrees with its verdict."""

    def ask(case: Path, expected: dict[str, Any], is_pinned: bool) -> dict[str, Any]:
        now = expected.pop("now")
        options = [f"--{name}={expected.pop(name)}" for name in ("since", "until") if name in expected]
        options += ["--config", str(config if (config := case / "config.yaml").exists() else os.devnull)]
        if is_pinned:
            monkeypatch.setattr(log_options, "now", lambda: now)
        else:
            options += ["--until", now.isoformat()]
        logs = [str(file) for file in sorted(case.iterdir()) if file.suffix != ".yaml"]
        status, report = reported(capsys, *options, *logs)
        assert status == STATUS[report["verdict"]]
        return report

    return ask


def reported(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    status = cli.main(["callers", "--format", "json", "--fail-unless-safe", *arguments])
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return status, report


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


# --- when it is safe at the earliest


@pytest.mark.parametrize("case", CASES)
def test_a_log_that_is_kept_is_safe_from_the_given_date_on_and_not_before(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = VERDICTS / case
    now = yaml.safe_load((folder / "expected.yaml").read_text())["now"]
    logs = [last_written(file, tmp_path, now) for file in sorted(folder.iterdir()) if file.suffix != ".yaml"]
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(without_silent_hosts(folder / "config.yaml")))

    def ask(moment: datetime) -> dict[str, Any]:
        monkeypatch.setattr(log_options, "now", lambda: moment)
        kept = tmp_path / "kept.jsonl"
        kept.write_bytes(heartbeats(logs, now, moment))
        return reported(capsys, "--config", str(config), *map(str, logs), str(kept))[1]

    safe_at = ask(now)["safe_at"]
    if safe_at is not None:
        first = datetime.fromisoformat(safe_at)
        assert first > now
        assert ask(first - MINUTE)["verdict"] != "safe"
        assert ask(first + MINUTE)["verdict"] == "safe"


def last_written(log: Path, folder: Path, moment: datetime) -> Path:
    """A copy of a log that was last written at a time."""
    copy = Path(shutil.copy(log, folder))
    os.utime(copy, (moment.timestamp(), moment.timestamp()))
    return copy


def without_silent_hosts(file: Path) -> dict[str, Any]:
    """A configuration in which all hosts that fell silent are gone: that is for people to say."""
    content: dict[str, Any] = yaml.safe_load(file.read_text()) if file.exists() else {}
    return content | {"callers": content.get("callers", {}) | {"gone": ["*"]}}


def heartbeats(logs: list[Path], now: datetime, until: datetime) -> bytes:
    """The next heartbeats of the processes that are alive at a time."""
    records = [record for batch, _ in Reader(map(str, logs), warn=lambda _: None) for record in batch]
    beats = [record for record in records if isinstance(record, Heartbeat)]
    last = {beat.instance: beat for beat in sorted(beats, key=lambda beat: beat.ts)}
    found = []
    for beat in last.values():
        moment, step = beat.ts, timedelta(seconds=beat.interval)
        while beat.at != "stop" and now <= deadline(beat) and (moment := moment + step) <= until:
            found.append(msgspec.structs.replace(beat, ts=moment, at="interval", lost=0))
    return b"".join(msgspec.json.encode(beat) + b"\n" for beat in found)
