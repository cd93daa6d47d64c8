"""Letters through a real ``sendmail -t``, to a mail server on loopback."""

import email
import subprocess
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest
import yaml

from tests.callers.lines import DAY, NOW, beats, log
from tests.commands.running import Run, alone, run
from tests.commands.samples import known, nightly
from tests.support.programs import program
from tests.support.smtp import smtp_server

__all__ = ["alone", "run"]

AGENT = "b/1 é\r\nBcc: x@example.org\r\n.\r\nFrom nobody <b>"


@pytest.fixture
def letters(tmp_path: Path, alone: None, run: Run) -> Path:  # noqa: ARG001
    """A folder with two letters, whose callers have a hostile agent."""
    rules = [
        known("a", owner="team-a", contact="Ännchen <a@example.org>, a2@example.org"),
        known("b", owner="team-b", contact="b@example.org"),
    ]
    records = [record for name in "ab" for record in nightly(3, 1, name, user_agent=f"{name}/{AGENT}", token="a" * 12)]
    (tmp_path / "callers.jsonl").write_bytes(log(*beats(NOW - 9 * DAY), *records))
    values = {"callers": {"log": "callers.jsonl", "known": rules}, "letters": {"sender": "Anna <anna@example.org>"}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    assert run("letters", "--to", "out", "callers.jsonl").status == 0
    return tmp_path / "out"


def test_a_real_sendmail_delivers_letters_whole(letters: Path, tmp_path: Path) -> None:
    sendmail = program("msmtp")
    files = sorted(letters.glob("*.eml"))
    with smtp_server() as server:
        port, settings = server.server_address[1], tmp_path / "msmtprc"
        settings.write_text(f"account default\nhost 127.0.0.1\nport {port}\nfrom lead@example.org\ntls off\nauth off\n")
        settings.chmod(0o600)
        for file in files:
            command = [sendmail, "-C", str(settings), "-t"]
            with file.open("rb") as letter:
                subprocess.run(command, stdin=letter, check=True, timeout=60)

    assert [each.recipients for each in server.delivered] == [["a@example.org", "a2@example.org"], ["b@example.org"]]
    for file, delivered in zip(files, server.delivered, strict=True):
        sent, arrived = parsed(file.read_bytes()), parsed(delivered.content)
        assert b"\r\r" not in delivered.content
        assert [arrived[name] for name in ("from", "to", "subject", "date")] == [
            sent[name] for name in ("from", "to", "subject", "date")
        ]
        for kind in ("plain", "html"):
            bodies = [message.get_body((kind,)) for message in (sent, arrived)]
            assert bodies[0] is not None
            assert bodies[1] is not None
            assert bodies[0].get_content() == bodies[1].get_content().replace("\r\n", "\n")


def parsed(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, EmailMessage, policy=default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    assert "bcc" not in message
    return message
