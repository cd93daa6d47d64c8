"""Every command prints what it is given, in any encoding: it escapes what that lacks, and never ends in a traceback."""

import html
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.commands import COMMANDS
from tests.callers.lines import DAY, NOW, call, log
from tests.support.paths import ROOT

NAME = "Nächtlicher Bau 夜 😀"
CONFIG = f"""
lifecycle:
  sunset: 2027-01-01
  brownouts: [{{from: 2099-12-01T10:00:00Z, to: 2099-12-01T10:10:00Z, callers: ["夜*"]}}]
callers:
  log: callers.jsonl
  known: [{{name: "{NAME}", owner: "Müller", agent: "夜/*"}}]
"""
BODY = json.dumps({"revision": "夜", "input": {"values": [{"name": "ü", "value": "😀"}]}}, ensure_ascii=False)
RUN = json.dumps({"id": "1", "slug": "夜", "status": "created"}, ensure_ascii=False)
CALL = 'curl -X POST https://x.example/acme/shop/ci_workflows/夜/trigger -d \'{"revision": "ü"}\''

ASCII = {"PYTHONIOENCODING": "ascii"}
UTF_8 = {"PYTHONUTF8": "1"}
C = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
"""The locale as it is without what Python does about it (PEP 538, PEP 540): file names and arguments are ASCII, too."""

TRIGGER = ["translate", "--path", "/acme/shop/ci_workflows/夜/trigger"]
LINES: list[tuple[list[str], str, int]] = [
    *((["callers", "--format", form], "", 0) for form in ("table", "json", "csv", "markdown", "html")),
    (["callers", "--by", "agent"], "", 0),
    (["callers", "夜.jsonl"], "", 2),
    (["callers", "--state", "ü"], "", 2),
    *((["caller", NAME, "--format", form], "", 0) for form in ("text", "json", "markdown")),
    (["caller", "Nächtlich"], "", 1),
    (["check"], "", 0),
    (["check", "--config", "夜.yaml"], "", 2),
    (["lifecycle"], "", 0),
    (["lifecycle", "--format", "json"], "", 0),
    (["lifecycle", "--caller", "夜"], "", 1),
    (TRIGGER, BODY, 0),
    ([*TRIGGER, "--curl"], BODY, 0),
    (["translate", "--response"], RUN, 0),
    (["translate"], CALL, 0),
    (["translate", "夜.json"], "", 2),
    *((["scan", "--format", form, "."], "", 2) for form in ("table", "json", "markdown", "sarif")),
    (["scan", "夜"], "", 1),
    (["fingerprint"], "夜", 0),
    (["demo"], "", 0),
    (["ü"], "", 2),
    *(([command, "--help"], "", 0) for command in COMMANDS),
    (["--help"], "", 0),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("夜")
    fields = {"owner": "Müller", "run_user": "älice", "workflow": "夜", "inputs": ["ü"], "ignored_fields": ["夜"]}
    calls = [call(NOW - days * DAY, NAME, user_agent="夜/1", **fields) for days in range(1, 40)]
    (made / "callers.jsonl").write_bytes(log(*calls))
    (made / "config.yaml").write_text(CONFIG, encoding="utf-8")
    (made / "夜.sh").write_text(CALL, encoding="utf-8")
    (made / os.fsdecode(b"\xff.sh")).write_text(CALL, encoding="utf-8")
    return made


def ran(folder: Path, words: list[str], text: str, **variables: str) -> "subprocess.CompletedProcess[bytes]":
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "proxy", *words],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(ROOT), **variables},
        input=text.encode(),
        capture_output=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(("words", "text", "status"), LINES, ids=[ascii(" ".join(line[0])) for line in LINES])
def test_no_command_fails_because_of_an_encoding(folder: Path, words: list[str], text: str, status: int) -> None:
    in_ascii, in_c = ran(folder, words, text, **ASCII), ran(folder, words, text, **C)

    assert b"Traceback" not in in_ascii.stderr + in_c.stderr
    assert in_ascii.returncode == status
    assert in_ascii.stdout.isascii()
    assert in_c.stdout.isascii()


@pytest.mark.parametrize(
    "words",
    [
        ["callers", "--until", "2026-11-24"],
        ["caller", NAME, "--until", "2026-11-24"],
        ["lifecycle", "--at", "2026-12-01"],
        ["scan", "."],
    ],
    ids=lambda words: words[0],
)
def test_json_says_the_same_in_any_encoding(folder: Path, words: list[str]) -> None:
    said, usual = (ran(folder, [*words, "--format", "json"], "", **more).stdout for more in (ASCII, UTF_8))

    assert said.isascii()
    assert not usual.isascii()
    assert json.loads(said) == json.loads(usual)


def test_a_page_is_utf_8_in_any_encoding(folder: Path) -> None:
    page = ran(folder, ["callers", "--format", "html"], "", PYTHONIOENCODING="latin-1:strict").stdout
    in_ascii = ran(folder, ["callers", "--format", "html"], "", **ASCII).stdout

    assert NAME in html.unescape(in_ascii.decode("utf-8"))
    assert NAME in html.unescape(page.decode("utf-8"))
