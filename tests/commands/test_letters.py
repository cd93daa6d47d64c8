import email
import mailbox
import subprocess
import tempfile
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.commands.letters import UNOWNED, file_name
from tests.callers.lines import DAY, NOW, beats, log
from tests.commands.running import COMMAND, Run
from tests.commands.samples import SUNSET, known, nightly
from tests.support.ledgers import fill
from tests.support.users import open_to_all, unprivileged

pytestmark = pytest.mark.usefixtures("fixed_time")

RULES = [
    known("nightly", owner="team-a", contact="a@example.org"),
    known("weekly", owner="team-a", contact="A <a2@example.org>"),
    known("daily", owner="team-b", contact="#b"),
    known("moved", owner="team-c", contact="c@example.org"),
]
RECORDS = [
    *beats(NOW - 170 * DAY),
    *(
        record
        for name in ("nightly", "weekly", "daily", "nobody")
        for record in nightly(9, 1, name, user_agent=f"{name}/1", token="a" * 12)
    ),
    *nightly(169, 120, "moved", user_agent="moved/1"),
]
SAID_OF_B = "trigger-shim: warning: no To in letters to team-b (#b): write a mail address as contact\n"
NOT_TO_C = "none for team-c (none of its callers calls any more)"


def configure(address: str | None, **letters: Any) -> None:
    values = {
        "lifecycle": SUNSET,
        "callers": {"log": "callers.jsonl", "known": RULES},
        "ledger": address,
        "letters": {"sender": "Anna <anna@example.org>"} | letters,
    }
    Path("config.yaml").write_text(yaml.safe_dump(values))


@pytest.fixture
def ledger(address: str) -> str:
    """A ledger with all records, which the configuration names."""
    fill(address, *RECORDS)
    configure(address)
    return address


@pytest.fixture
def calls() -> str:
    """A log with all records, which the configuration names; there is no ledger."""
    Path("callers.jsonl").write_bytes(log(*RECORDS))
    configure(None)
    return "callers.jsonl"


def parsed(path: Path) -> EmailMessage:
    message = email.message_from_bytes(path.read_bytes(), EmailMessage, policy=default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


@pytest.mark.usefixtures("ledger")
def test_each_owner_gets_one_letter_for_all_its_callers(run: Run, tmp_path: Path) -> None:
    ran = run("letters", "--to", "out/november")

    assert (ran.status, ran.out) == (0, "")
    assert ran.err == (
        f"{SAID_OF_B}trigger-shim: wrote 2 letters to out/november; {NOT_TO_C};"
        f" 1 caller has no owner, see out/november/{UNOWNED}\n"
    )
    folder = tmp_path / "out" / "november"
    assert sorted(path.name for path in folder.iterdir()) == [UNOWNED, "team-a.eml", "team-b.eml"]
    letter = parsed(folder / "team-a.eml")
    assert (letter["to"], letter["from"]) == ("a@example.org, A <a2@example.org>", "Anna <anna@example.org>")
    assert letter["subject"] == "Please move 2 tools to the new CI API before 2027-01-01"
    assert letter["date"].datetime == NOW
    for kind in ("plain", "html"):
        body = letter.get_body((kind,))
        assert body is not None
        assert body.get_content().count("https://api.sourcecraft.tech/repos/acme/shop/cicd/runs") == 2
    assert parsed(folder / "team-b.eml")["to"] is None
    assert "## `nobody`\n" in (folder / UNOWNED).read_text()


@pytest.mark.usefixtures("ledger")
def test_only_those_that_are_due_get_another_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("letters", "--owner", "team-a").status == 0
    first = run("letters", "--due", "30d", "--to", "first")
    assert f"wrote 1 letter to first; none for team-a (had one on 2026-11-24), {NOT_TO_C[9:]}" in first.err
    second = run("letters", "--due", "30d", "--to", "second")
    assert "wrote 0 letters to second; none for team-a (had one on 2026-11-24), team-b (had one on " in second.err
    monkeypatch.setattr("proxy.commands.log_options.now", lambda: NOW + 30 * DAY)

    assert "wrote 2 letters to third" in run("letters", "--due", "30d", "--to", "third").err


@pytest.mark.usefixtures("ledger")
def test_an_owner_can_be_chosen(run: Run, tmp_path: Path) -> None:
    ran = run("letters", "--owner", "team-a")

    assert ran.said == "trigger-shim: wrote 1 letter\n"
    (tmp_path / "one.eml").write_text(ran.out)
    assert parsed(tmp_path / "one.eml")["to"].startswith("a@example.org")
    assert run("letters", "--owner", "team-c").said == f"trigger-shim: wrote 0 letters; {NOT_TO_C}\n"
    assert run("letters", "--owner", "team-x").said.startswith(
        "trigger-shim: error: team-x: no such owner in the log; did you mean team-"
    )


def test_all_letters_are_a_mail_box_on_standard_output(run: Run, calls: str, tmp_path: Path) -> None:
    ran = run("letters", calls)
    (tmp_path / "box").write_text(ran.out)
    box = mailbox.mbox(tmp_path / "box")

    assert [message["to"] for message in box] == ["a@example.org, A <a2@example.org>", None]
    assert ran.err.endswith("; 1 caller has no owner, see --format markdown or --to\n")
    box.close()


def test_letters_are_markdown_for_issues(run: Run, calls: str, tmp_path: Path) -> None:
    one = run("letters", "--owner", "team-b", "--format", "markdown", calls)
    every = run("letters", "--format", "markdown", calls)
    run("letters", "--format", "markdown", "--to", "out", calls)

    assert one.out.startswith("# Please move 1 tool to the new CI API before 2027-01-01\n\nHello team-b,\n")
    assert every.out.count("\n# Please move ") == 1
    assert f"\n\n{one.out}\n# Callers without an owner\n" in every.out
    assert (tmp_path / "out" / "team-b.md").read_text() == one.out
    assert one.err.startswith("trigger-shim: warning: letters to team-b are not remembered: no ledger is read\n")


def test_logs_cannot_tell_who_had_letters(run: Run, calls: str) -> None:
    ran = run("letters", "--due", "30d", calls)

    assert (ran.status, ran.out) == (1, "")
    assert ran.said == "trigger-shim: error: --due needs to know who had letters: no ledger is read\n"


def test_a_ledger_that_cannot_be_written_forgets_letters(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as folder:  # those of pytest can be entered by nobody else
        open_to_all(Path(folder), monkeypatch)
        fill("callers.db", *RECORDS)
        configure("callers.db")
        Path("callers.db").chmod(0o444)
        with unprivileged():
            ran, due = run("letters", "--owner", "team-a"), run("letters", "--due", "1d")

    assert (ran.status, due.status, due.out) == (0, 1, "")
    why = "callers.db: it cannot be written"
    assert ran.err.startswith(f"trigger-shim: warning: letters to team-a are not remembered: {why}\n")
    assert due.said == f"trigger-shim: error: --due needs to know who had letters: {why}\n"


@pytest.mark.usefixtures("ledger")
def test_a_letter_that_cannot_be_written_is_not_remembered(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out" / "team-a.eml").mkdir(parents=True)
    ran = run("letters", "--to", "out", "--due", "30d")

    assert ran.status == 1
    assert "wrote 1 letter to out; none for team-c (" in ran.err
    assert "team-a (Is a directory)" in ran.err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {UNOWNED, "team-a.eml", "team-b.eml"}
    assert (
        "wrote 1 letter to again; none for team-b (had one on 2026-11-24)"
        in run("letters", "--to", "again", "--due", "30d").err
    )


def test_a_full_disk_behind_standard_output_is_said(calls: str) -> None:
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run([COMMAND, "letters", calls], stdout=full, stderr=subprocess.PIPE, text=True, check=False)

    assert (ran.returncode, ran.stderr) == (1, "trigger-shim: error: standard output: No space left on device\n")


def test_a_folder_that_cannot_be_made_is_said(run: Run, calls: str) -> None:
    assert run("letters", "--to", f"{calls}/out", calls).said.startswith(
        "trigger-shim: error: --to: callers.jsonl/out: "
    )


def test_a_letter_names_the_address_that_refused_callers_get(run: Run, calls: str) -> None:
    values = yaml.safe_load(Path("config.yaml").read_text())
    values["lifecycle"]["successor_url"] = "https://told.example/v1"
    Path("config.yaml").write_text(yaml.safe_dump(values))
    out = run("letters", "--format", "markdown", "--owner", "team-b", calls).out

    assert "The new calls go to <https://told.example/v1>, " in out
    assert "\ncurl -X POST https://told.example/v1/repos/acme/shop/cicd/runs \\\n" in out
    assert "sourcecraft.tech" not in out


def test_letters_from_before_are_not_to_be_sent_again(run: Run, calls: str) -> None:
    run("letters", "--to", "out", calls)

    assert (
        "warning: out also has 1 letter from before: send none twice\n"
        in run("letters", "--to", "out", "--owner", "team-a", calls).err
    )


def test_a_template_of_the_company_is_used(run: Run, calls: str, tmp_path: Path) -> None:
    (tmp_path / "own.jinja").write_text("# {{ owner|words }}, move\n{{ callers[0].changes }}\n")
    configure(None, template="own.jinja")
    assert run("letters", "--format", "markdown", "--owner", "team-b", calls).out.startswith(
        "# team-b, move\n\n`POST /"
    )

    configure(None, template="gone.jinja")
    assert run("letters", calls).said == (
        "trigger-shim: error: letters.template: gone.jinja: No such file or directory\n"
    )

    configure(None, template="own.jinja")
    (tmp_path / "own.jinja").write_text("# {{ ownr }}")
    ran = run("letters", "--to", "out", calls)
    assert (ran.status, ran.said) == (
        2,
        "trigger-shim: error: letters.template: own.jinja, line 1: 'ownr' is undefined\n",
    )
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("format_", ["eml", "markdown"])
def test_what_an_owner_is_called_chooses_no_file_and_no_header(run: Run, tmp_path: Path, format_: str) -> None:
    names = [
        "../up",
        "/etc/passwd",
        "a/b",
        "..",
        ".",
        "Team-A",
        "team-a",
        "TEAM A",
        "-rf",
        "a\\b",
        "ä" * 100,
        UNOWNED[:-3],
    ]
    hostile = ["a\nBcc: x@example.org", "\x1b[2J", "a\r\n\r\nb", "\x00", "x" * 128, "*"]
    records = [
        record
        for index, name in enumerate([*names, *hostile])
        for record in nightly(3, 1, f"c{index}", owner=name, token=f"{index:012x}")
    ]
    (tmp_path / "callers.jsonl").write_bytes(log(*records))
    configure(None)
    ran = run("letters", "--to", "out", "--format", format_, "callers.jsonl")

    files = list((tmp_path / "out").iterdir())
    assert ran.status == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["callers.jsonl", "config.yaml", "out"]
    assert len({path.name.lower() for path in files}) == len(files) == len([*names, *hostile])
    assert all(path.name[0].isalnum() and path.is_file() and len(path.name) < 80 for path in files)
    if format_ == "eml":
        assert all(set(parsed(path)) == {"From", "Subject", "Date", "MIME-Version", "Content-Type"} for path in files)


def test_names_of_files_are_plain_where_owners_are() -> None:
    assert [file_name(owner) for owner in ("team-a", "finance", "7")] == ["team-a", "finance", "7"]
    assert file_name("Team A").startswith("team-a_")
    assert file_name("..").startswith("owner_")
