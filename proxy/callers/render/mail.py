"""Letters as mail messages (RFC 5322) with a text and an HTML part."""

import io
import re
from collections.abc import Iterable
from datetime import datetime
from email.errors import MessageError
from email.generator import Generator
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

from markdown_it import MarkdownIt

from proxy.callers.render.letter_template import Draft

_POLICY = SMTP.clone(linesep="\n")
"""Programs named sendmail take the line ends of the system."""

_ADDRESS = re.compile(r"(?:([^<>]*?)\s*<)?([\w.!#$%&'*+/=?^`{|}~-]+@[\w.-]+)(?(1)>)", re.ASCII)

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<style>
body {{ font-family: sans-serif; line-height: 1.4; max-width: 50em }}
pre {{ background: #f3f3f3; padding: 0.7em; white-space: pre-wrap }}
</style>
</head>
<body>
{}</body>
</html>
"""


def to_message(draft: Draft, to: Iterable[Address], sender: Iterable[Address], date: datetime) -> EmailMessage:
    """A letter as a message.

    Args:
        draft: the letter.
        to: its recipients; without any, it has no ``To``.
        sender: whom it is from; without any, it has no ``From``, which whatever sends it adds.
        date: when it is written.
    """
    message = EmailMessage(_POLICY)
    for name, addresses in (("From", tuple(sender)), ("To", tuple(to))):
        if addresses:
            message[name] = addresses
    message["Subject"] = draft.subject
    message["Date"] = date
    message.set_unixfrom(f"From - {date.ctime()}")
    # As quoted-printable, so that no line is too long (RFC 5322, section 2.1.1) and none looks like a boundary.
    message.set_content(draft.text, cte="quoted-printable")
    message.add_alternative(to_html(draft.text), subtype="html", cte="quoted-printable")
    return message


def to_text(message: EmailMessage, *, in_mbox: bool = False) -> str:
    """A message as it is sent, in ASCII, or as it stands in an mbox file with others (RFC 4155)."""
    out = io.StringIO()
    Generator(out, mangle_from_=in_mbox, policy=_POLICY).flatten(message, unixfrom=in_mbox)
    return out.getvalue() + ("\n" if in_mbox else "")


def to_html(text: str) -> str:
    """Markdown as a page. HTML in it is shown as text."""
    page = _PAGE.format(MarkdownIt("commonmark", {"html": False}).render(text))
    return page.encode("ascii", "xmlcharrefreplace").decode()


def mail_addresses(contact: str | None) -> list[Address]:
    """The mail addresses in a contact such as ``Anna <anna@example.org>``; none if there is anything else in it."""
    if not contact or not contact.isprintable():
        return []
    try:
        return [_address(part.strip()) for part in contact.split(",")]
    except (ValueError, LookupError, MessageError):
        return []


def _address(text: str) -> Address:
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise ValueError
    return Address(found[1] or "", addr_spec=found[2])
