"""Every command prints what it is given, in any encoding: it escapes what that lacks, and never ends in a traceback."""

import html
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from proxy.commands import COMMANDS
from tests.callers.lines import DAY, NOW, call, log
from tests.support.paths import ROOT
from tests.support.waiting import PATIENCE

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


JSON = [
    [*words, "--format", "json"]
    for words in (
        ["callers", "--until", "2026-11-24"],
        ["caller", NAME, "--until", "2026-11-24"],
        ["lifecycle", "--at", "2026-12-01"],
        ["scan", "."],
    )
]
PAGE = ["callers", "--format", "html"]


class Ran(NamedTuple):
    status: int
    out: bytes
    err: bytes


Run = Callable[..., list[Ran]]


@pytest.fixture(scope="module")
def ran(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs command lines with such an environment."""

    def run(lines: list[tuple[list[str], str]], **variables: str) -> list[Ran]:
        files = tmp_path_factory.mktemp("ran")
        (files / "lines.json").write_text(json.dumps(lines))
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        command = [sys.executable, "-m", "tests.system.commands", str(files)]
        environment = {**kept, "PYTHONPATH": str(ROOT), **variables}
        statuses = json.loads(subprocess.check_output(command, cwd=folder, env=environment, timeout=PATIENCE))
        return [
            Ran(status, (files / f"{number}.out").read_bytes(), (files / f"{number}.err").read_bytes())
            for number, status in enumerate(statuses)
        ]

    return run


@pytest.fixture(scope="module")
def in_ascii(ran: Run) -> list[Ran]:
    return ran([(words, text) for words, text, _ in LINES], **ASCII)


@pytest.fixture(scope="module")
def in_c(ran: Run) -> list[Ran]:
    return ran([(words, text) for words, text, _ in LINES], **C)


@pytest.mark.parametrize("number", range(len(LINES)), ids=[ascii(" ".join(line[0])) for line in LINES])
def test_no_command_fails_because_of_an_encoding(number: int, in_ascii: list[Ran], in_c: list[Ran]) -> None:
    escaped, in_the_locale = in_ascii[number], in_c[number]

    assert b"Traceback" not in escaped.err + in_the_locale.err
    assert escaped.status == LINES[number][2]
    assert escaped.out.isascii()
    assert in_the_locale.out.isascii()


def test_json_says_the_same_in_any_encoding(ran: Run) -> None:
    lines = [(words, "") for words in JSON]
    for said, usual in zip(ran(lines, **ASCII), ran(lines, **UTF_8), strict=True):
        assert said.out.isascii()
        assert not usual.out.isascii()
        assert json.loads(said.out) == json.loads(usual.out)


def test_a_page_is_utf_8_in_any_encoding(ran: Run, in_ascii: list[Ran]) -> None:
    [page] = ran([(PAGE, "")], PYTHONIOENCODING="latin-1:strict")
    for out in (page.out, in_ascii[[line[0] for line in LINES].index(PAGE)].out):
        assert NAME in html.unescape(out.decode("utf-8"))
