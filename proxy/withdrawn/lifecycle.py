"""Decides which phase a caller is in and whether it is refused, and builds the headers that announce the end.

Pure: the time is an argument. A boundary belongs to the later phase.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import islice, takewhile
from typing import Literal, NamedTuple

from proxy.withdrawn.brownouts import Brownout, Window

Phase = Literal["announced", "deprecated", "brownout", "sunset"]
Reason = Literal["sunset", "migrated", "frozen", "brownout"]
Headers = list[tuple[bytes, bytes]]


class Policy(NamedTuple):
    """The dates of the withdrawal, each with a time zone, and what callers are told of it.

    Attributes:
        documentation: the page that explains it.
        brownouts: planned short failures.
        freeze: new callers are refused from then on.
        successor_url: the address that callers should call instead; None for that of the service.
    """

    deprecated: datetime | None = None
    sunset: datetime | None = None
    documentation: str | None = None
    brownouts: tuple[Brownout, ...] = ()
    freeze: datetime | None = None
    successor_url: str | None = None


class PolicySubject(NamedTuple):
    """A caller, as the policy sees it.

    Attributes:
        migrated: when it has moved; it is refused from then on.
        extension: until when it may call, past the sunset.
        is_new: it has no record from before the freeze.
    """

    name: str
    owner: str | None = None
    migrated: datetime | None = None
    extension: datetime | None = None
    is_new: bool = False


class Refusal(NamedTuple):
    """Why a caller is refused.

    Attributes:
        until: when the refusal ends; None if it is permanent.
    """

    reason: Reason
    until: datetime | None = None


class Decision(NamedTuple):
    """The phase that a caller is in, and why it is refused, if it is."""

    phase: Phase
    refusal: Refusal | None = None


def decide(policy: Policy, subject: PolicySubject, now: datetime) -> Decision:
    """Decide about a caller at a time, which needs a time zone."""
    if subject.migrated is not None and now >= subject.migrated:
        return Decision("sunset", Refusal("migrated"))
    end = sunset_for(policy, subject)
    if end is not None and now >= end:
        return Decision("sunset", Refusal("sunset"))
    phase: Phase = "deprecated" if policy.deprecated is not None and now >= policy.deprecated else "announced"
    if policy.freeze is not None and now >= policy.freeze and subject.is_new:
        return Decision(phase, Refusal("frozen"))
    ends = [window.end for window in _open_windows(policy, subject, now)] if policy.brownouts else []
    return Decision("brownout", Refusal("brownout", max(ends))) if ends else Decision(phase)


def sunset_for(policy: Policy, subject: PolicySubject) -> datetime | None:
    """When the withdrawn API ends for a caller: at the sunset, or after its extension."""
    if policy.sunset is None or subject.extension is None:
        return policy.sunset
    return max(policy.sunset, subject.extension)


def refused_from(policy: Policy, subject: PolicySubject) -> datetime | None:
    """From when on a caller is permanently refused even if it is not new; None if it never is."""
    ends = (subject.migrated, sunset_for(policy, subject))
    return min((end for end in ends if end is not None), default=None)


def _open_windows(policy: Policy, subject: PolicySubject, now: datetime) -> Iterator[Window]:
    for brownout in policy.brownouts:
        window = brownout.windows.at(now)
        if window is not None and brownout.affects(subject.name, subject.owner):
            yield window


# --- the headers


def announcement(policy: Policy, subject: PolicySubject) -> Headers:
    """The headers that announce the end to a caller: ``Deprecation`` (RFC 9745) and ``Sunset`` (RFC 8594)."""
    headers, end = [], sunset_for(policy, subject)
    if policy.deprecated is not None:
        headers.append((b"deprecation", b"@%d" % int(policy.deprecated.timestamp())))
    if end is not None:
        headers.append((b"sunset", format_datetime(end.astimezone(UTC), usegmt=True).encode()))
    return headers


def links(policy: Policy, successor: str | None) -> Headers:
    """``Link`` (RFC 8288) to this caller's own successor (RFC 5829) and to the documentation (RFC 9745).

    Args:
        policy: with the documentation page.
        successor: absolute URL of the successor, or None if the call has none.
    """
    targets = []
    if successor is not None:
        targets.append(f'<{successor}>; rel="successor-version"')
    if policy.documentation is not None:
        targets.append(f'<{policy.documentation}>; rel="deprecation"; type="text/html"')
    return [(b"link", ", ".join(targets).encode("ascii"))] if targets else []


# --- planned changes

_TICK = timedelta(microseconds=1)
_MOST_WINDOWS = 1000
"""How many windows of a brownout are listed: it may begin each minute."""

Kind = Literal["deprecated", "freeze", "brownout", "sunset", "migrated", "extension"]


class Change(NamedTuple):
    """A planned change of the policy, or for one caller.

    Attributes:
        at: when it happens.
        kind: what begins then; for `extension`, what ends.
        until: the end of a brownout.
        brownout: which brownout begins.
    """

    at: datetime
    kind: Kind
    until: datetime | None = None
    brownout: Brownout | None = None


def planned_changes(policy: Policy, after: datetime, most: int) -> list[Change]:
    """Up to `most` next changes of the policy, the next one first."""
    dates: list[tuple[datetime | None, Kind]] = [
        (policy.deprecated, "deprecated"),
        (policy.freeze, "freeze"),
        (policy.sunset, "sunset"),
    ]
    coming = [Change(at, kind) for at, kind in dates if at is not None and at > after]
    coming += [
        Change(window.begin, "brownout", window.end, brownout)
        for brownout in policy.brownouts
        for window in islice(brownout.windows.after(after), most)
    ]
    return sorted(coming, key=lambda change: change.at)[:most]


def changes_between(policy: Policy, begin: datetime, end: datetime) -> list[Change]:
    """The changes of the policy from one time on and before another one, in order; of each brownout, the first ones."""
    dates: list[tuple[datetime | None, Kind]] = [
        (policy.deprecated, "deprecated"),
        (policy.freeze, "freeze"),
        (policy.sunset, "sunset"),
    ]
    changes = [Change(at, kind) for at, kind in dates if at is not None and begin <= at < end]
    for brownout in policy.brownouts:
        windows = takewhile(lambda window: window.begin < end, brownout.windows.after(begin - _TICK))
        changes += [Change(window.begin, "brownout", window.end, brownout) for window in islice(windows, _MOST_WINDOWS)]
    return sorted(changes, key=lambda change: change.at)


def planned_brownouts(policy: Policy, subject: PolicySubject, after: datetime, most: int) -> list[Window]:
    """Up to `most` next windows in which a caller is refused, in order; none from when it is permanently refused."""
    end = refused_from(policy, subject)
    windows = {
        window
        for brownout in policy.brownouts
        if brownout.affects(subject.name, subject.owner)
        for window in islice(brownout.windows.after(after), most)
        if end is None or window.begin < end
    }
    return sorted(windows)[:most]


def next_change(policy: Policy, subject: PolicySubject, after: datetime) -> Change | None:
    """The next change for a caller; None if there is none, or if it is permanently refused."""
    refusal = decide(policy, subject, after).refusal
    if refusal is not None and refusal.until is None:
        return None
    end = sunset_for(policy, subject)
    dates: list[tuple[datetime | None, Kind]] = [
        (subject.migrated, "migrated"),
        (end, "sunset" if end == policy.sunset else "extension"),
        (policy.deprecated, "deprecated"),
        (policy.freeze if subject.is_new else None, "freeze"),
    ]
    coming = [Change(at, kind) for at, kind in dates if at is not None and at > after]
    for brownout in policy.brownouts:
        window = next(brownout.windows.after(after), None) if brownout.affects(subject.name, subject.owner) else None
        if window is not None:
            coming.append(Change(window.begin, "brownout", window.end, brownout))
    return min(coming, key=lambda change: change.at, default=None)
