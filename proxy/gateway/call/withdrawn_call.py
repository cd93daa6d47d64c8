"""A call of a withdrawn endpoint."""

import functools
import os
from collections.abc import Mapping
from datetime import datetime
from typing import Self
from urllib.parse import quote_from_bytes

import msgspec

from proxy.callers.identity import Caller
from proxy.errors import InvalidPath, PathTooLong
from proxy.gateway import headers
from proxy.gateway.call.policy import PolicySnapshot
from proxy.gateway.head import Head
from proxy.withdrawn import lifecycle
from proxy.withdrawn.endpoints import Match
from proxy.withdrawn.lifecycle import Decision, PolicySubject

MAX_PATH = 8 << 10
"""Bytes. Headers and errors repeat the path, so it has a limit of its own."""


class WithdrawnCall(msgspec.Struct, frozen=True, gc=False):
    """A call of a withdrawn endpoint, and what the policy says about it.

    Attributes:
        match: the endpoint that it is for.
        received: when it arrived, UTC.
        policy: the policy at that time.
        invalid_path: why the path cannot be used.
        successor: quoted path of what to call instead, if the path is valid.
        predecessor: the caller from before the freeze whose successor the caller is, if any.
    """

    head: Head
    match: Match
    received: datetime
    policy: PolicySnapshot
    request_id: str
    invalid_path: InvalidPath | PathTooLong | None
    workflow: str | None
    successor: str | None
    caller: Caller
    predecessor: str | None
    subject: PolicySubject
    decision: Decision

    @classmethod
    def of(cls, head: Head, match: Match, policy: PolicySnapshot, name_header: bytes, *, now: datetime) -> Self:
        """Identify the caller, who may have given its name in a header, and decide about the call."""
        workflow = successor = None
        invalid_path: InvalidPath | PathTooLong | None = None
        try:
            _check_length(head.path)
            workflow = match.workflow
            successor = quoted(match.successor.encode("latin-1"))
        except (InvalidPath, PathTooLong) as error:
            invalid_path = error.with_traceback(None)
        caller = _identify(head, match, policy, name_header, workflow)
        predecessor = policy.predecessor(caller, workflow)
        subject = policy.subject(caller, predecessor)
        decision = policy.decide(subject, now)
        call_id = request_id_of(head.first_values)
        return cls(
            head=head,
            match=match,
            received=now,
            policy=policy,
            request_id=call_id,
            invalid_path=invalid_path,
            workflow=workflow,
            successor=successor,
            caller=caller,
            predecessor=predecessor,
            subject=subject,
            decision=decision,
        )

    @property
    def successor_url(self) -> str | None:
        """URL of what to call instead, if the path is valid."""
        return self.policy.successor_url + self.successor if self.successor is not None else None

    def announcement(self) -> lifecycle.Headers:
        """The headers that announce the end of the endpoint."""
        return self.policy.announcement(self.subject, self.successor_url)


def _check_length(path: bytes) -> None:
    if len(path) > MAX_PATH:
        raise PathTooLong(f"The path has more than {MAX_PATH >> 10} KiB; check the URL.", limit="path_size")


def _identify(head: Head, match: Match, policy: PolicySnapshot, name_header: bytes, workflow: str | None) -> Caller:
    first_values = head.first_values
    hops = headers.values(head.headers, b"x-forwarded-for") if b"x-forwarded-for" in first_values else []
    return policy.identity.identify(
        head.peer,
        [hop.decode("latin-1") for hop in hops],
        _text(first_values.get(b"authorization"), "surrogateescape"),
        _text(first_values.get(b"user-agent")),
        declared_name=_text(first_values.get(name_header)),
        repository=match.repository,
        workflow=workflow,
    )


def _text(value: bytes | None, on_error: str = "replace") -> str | None:
    return value.decode("utf-8", on_error) if value is not None else None


def request_id_of(first_values: Mapping[bytes, bytes]) -> str:
    """The caller's ``X-Request-ID`` if it may be used, or a new one."""
    given = headers.sane_request_id(first_values.get(b"x-request-id"))
    return given.decode() if given else os.urandom(16).hex()


def quoted(path: bytes) -> str:
    """A raw path in which each byte is escaped that a URL may not contain."""
    return _cached_quote(path) if len(path) <= _MAX_CACHED_LENGTH else _quote(path)


def _quote(path: bytes) -> str:
    return quote_from_bytes(path, safe="/%!$&'()*+,;=:@-._~")


# Tools call the same few paths again and again.
_MAX_CACHED_LENGTH = 256
_cached_quote = functools.lru_cache(1024)(_quote)
