"""How far the withdrawal has come, and the headers that announce its end."""

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Literal, NamedTuple

Phase = Literal["announced", "deprecated", "brownout", "sunset"]
Headers = list[tuple[bytes, bytes]]


class Policy(NamedTuple):
    """The dates of the withdrawal, each with a time zone, and the page that explains it."""

    deprecated: datetime | None
    sunset: datetime | None
    documentation: str | None


def phase(policy: Policy, now: datetime) -> Phase:
    """The phase that `now`, a time with a zone, falls into; a boundary belongs to the later phase."""
    if policy.sunset is not None and now >= policy.sunset:
        return "sunset"
    if policy.deprecated is not None and now >= policy.deprecated:
        return "deprecated"
    return "announced"


def announcement(policy: Policy) -> Headers:
    """The headers that are the same for every caller: ``Deprecation`` (RFC 9745) and ``Sunset`` (RFC 8594)."""
    headers = []
    if policy.deprecated is not None:
        headers.append((b"deprecation", b"@%d" % int(policy.deprecated.timestamp())))
    if policy.sunset is not None:
        headers.append((b"sunset", format_datetime(policy.sunset.astimezone(UTC), usegmt=True).encode()))
    return headers


def links(policy: Policy, successor: str | None) -> Headers:
    """``Link`` (RFC 8288) to this caller's own successor (RFC 5829) and to the documentation (RFC 9745).

    Args:
        policy: the dates and the page.
        successor: absolute URL of the successor, or None where the call names none.
    """
    targets = []
    if successor is not None:
        targets.append(f'<{successor}>; rel="successor-version"')
    if policy.documentation is not None:
        targets.append(f'<{policy.documentation}>; rel="deprecation"; type="text/html"')
    return [(b"link", ", ".join(targets).encode("ascii"))] if targets else []
