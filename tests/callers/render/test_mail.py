import email
import mailbox
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import default
from html.parser import HTMLParser
from pathlib import Path

import pytest

from proxy.callers.render.letter_template import Draft
from proxy.callers.render.mail import mail_addresses, to_html, to_message, to_text

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
DRAFT = Draft("Please move", "Hello,\n\nFrom here on:\n\n```\ncurl 'x' \\\n  -d é\n```\n")


def parsed(text: str) -> EmailMessage:
    message = email.message_from_string(text, EmailMessage, policy=default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    content: str = body.get_content()
    return content


def test_a_letter_is_a_message_with_both_parts() -> None:
    to, sender = [Address("Änna B", addr_spec="anna@example.org"), Address(addr_spec="b@c")], [Address(addr_spec="l@e")]
    message = parsed(to_text(to_message(DRAFT, to, sender, NOW)))

    assert message["to"].addresses == tuple(to)
    assert message["from"].addresses == tuple(sender)
    assert (message["subject"], message["date"].datetime) == ("Please move", NOW)
    assert message.get_content_type() == "multipart/alternative"
    assert [each.get_content_type() for each in message.iter_parts()] == ["text/plain", "text/html"]
    assert part(message, "plain") == DRAFT.text
    assert "<pre><code>curl 'x' \\\n  -d &#233;\n</code></pre>" in part(message, "html")


def test_a_letter_without_addresses_has_no_such_headers() -> None:
    message = parsed(to_text(to_message(DRAFT, [], [], NOW)))
    assert (message["to"], message["from"]) == (None, None)


def test_lines_of_a_message_are_short_and_ascii() -> None:
    long = Draft("Ü" * 300, f"{'é' * 5000}\n{'x' * 5000}\n.\n--===\n")
    text = to_text(to_message(long, [], [], NOW))

    assert text.isascii()
    assert "\r" not in text
    assert max(map(len, text.splitlines())) <= 78
    assert part(parsed(text), "plain") == long.text
    assert parsed(text)["subject"] == long.subject


@pytest.mark.parametrize("subject", ["a\nBcc: x@example.org", "a\r\nBcc: x@example.org", "a\rb"])
def test_a_header_cannot_be_injected(subject: str) -> None:
    with pytest.raises(ValueError, match="linefeed"):
        to_message(Draft(subject, ""), [], [], NOW)


@pytest.mark.parametrize(
    ("contact", "found"),
    [
        ("a@example.org", ["a@example.org"]),
        ("Anna B <a.b+c@example.org>", ["Anna B <a.b+c@example.org>"]),
        ("Müller, Anna <a@example.org>", []),
        ("Müller <a@example.org>", ["Müller <a@example.org>"]),
        ("Team (CI) <a@example.org>", ['"Team (CI)" <a@example.org>']),
        ("a@example.org, b@example.org", ["a@example.org", "b@example.org"]),
        *(
            (text, [])
            for text in ("", "#ci", "@anna", "a@", "a@b, #ci", "a..b@example.org", "ask a@example.org", "ä@b")
        ),
        *(
            (text, [])
            for text in ("a@b\nBcc: c@d", "x\r\nBcc: c@d <a@b>", "<a@b", "a@b>", "a@b,", "x <a@b> y", "a@b c")
        ),
    ],
)
def test_a_contact_is_an_address_or_it_is_not(contact: str, found: list[str]) -> None:
    assert list(map(str, mail_addresses(contact))) == found


def test_no_contact_has_no_address() -> None:
    assert mail_addresses(None) == []


def test_several_messages_make_a_mail_box(tmp_path: Path) -> None:
    drafts = [Draft("a", "From me\n>From you\n"), Draft("b", "c\n")]
    text = "".join(to_text(to_message(draft, [], [], NOW), in_mbox=True) for draft in drafts)
    (tmp_path / "box").write_text(text)
    box = mailbox.mbox(tmp_path / "box")

    assert [message["subject"] for message in box] == ["a", "b"]
    assert text.startswith("From - Tue Nov 24 08:00:00 2026\n")
    assert [line for line in text.splitlines() if line.startswith("From ")] == ["From - Tue Nov 24 08:00:00 2026"] * 2
    box.close()


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - as the parser calls it
        self.found.add(tag)


def test_html_in_a_letter_is_text() -> None:
    tags = Tags()
    tags.feed(to_html("<script>x</script> `<b>` <i>a</i>\n\n<div>\n\n[a](javascript:x) ![b](data:text/html,x)\n"))

    assert tags.found <= {"html", "head", "meta", "style", "body", "p", "code"}
