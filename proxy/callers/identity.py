"""Names the caller of a request, by the peer's address and a few headers."""

import hashlib
import hmac
import ipaddress
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple

from proxy.callers.trusted_proxies import Network, TrustedProxies
from proxy.withdrawn import lifecycle

CallerSource = Literal["known", "header", "token", "address"]

# Callers choose these texts, so the cache holds only short ones, and few.
_MAX_CACHED = 4096
_MAX_CACHED_LENGTH = 1024

FINGERPRINT_DIGITS = 12
USER_AGENT_LENGTH = 256
NAME_LENGTH = 128

STRANGERS_IN = "strangers in "
ELSEWHERE = "strangers elsewhere"
"""How reports name those who never showed a token that the service accepts: by network, and the rest."""

_RESERVED = re.compile(rf"token:|strangers\b|\(|[0-9a-f]{{{FINGERPRINT_DIGITS}}}\Z")
"""What only the proxy calls a caller: fingerprints, and rows of reports that are no callers."""


class Rule(NamedTuple):
    """Names a known caller. A call must match every criterion that has values, by any one of its values.

    Attributes:
        contact: how to reach the owner.
        tokens: fingerprints of tokens.
        agents, repositories, workflows: globs; a repository is ``org/repo`` or ``id:…``.
        migrated: the caller is refused from this time on.
        extension: the caller may call until this time, even after the sunset.
        exempt_from_freeze: the caller may start to call after the freeze.
        every: the longest period of its jobs; None if not known.
        note: what people should know about it.
        promised: from then on it will not call any more, its owner says.
        ignore: it is a scanner or a monitor, which nobody has to migrate.
    """

    name: str
    owner: str | None = None
    contact: str | None = None
    tokens: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()
    repositories: tuple[str, ...] = ()
    workflows: tuple[str, ...] = ()
    migrated: datetime | None = None
    extension: datetime | None = None
    exempt_from_freeze: bool = False
    every: timedelta | None = None
    note: str | None = None
    promised: datetime | None = None
    ignore: bool = False


class CallAttributes(NamedTuple):
    """What rules match against."""

    token: str | None
    user_agent: str | None
    client_ip: str | None
    repository: str
    workflow: str | None


class Caller(NamedTuple):
    """A named caller.

    Attributes:
        source: where the name comes from.
        rule: the rule that matched, if any.
    """

    name: str
    source: CallerSource
    owner: str | None
    token: str | None
    client_ip: str | None
    user_agent: str | None
    rule: Rule | None


class _IdentityInput(NamedTuple):
    """Everything in a request that a caller's name depends on.

    Attributes:
        authorization: its digest under a key of this process. A core dump would show the token itself.
    """

    peer: str | None
    forwarded_for: tuple[str, ...]
    authorization: bytes | None
    user_agent: str | None
    declared_name: str | None
    repository: str
    workflow: str | None


class Identity:
    """Names callers by the first rule that matches, else by a header, else by their token, else by their address.

    Args:
        trusted_proxies: networks whose ``X-Forwarded-For`` is trusted.
        key: HMAC key for the fingerprints of tokens.
        known: rules for known callers; the first match wins.
    """

    def __init__(self, trusted_proxies: Iterable[Network], key: bytes, known: Iterable[Rule] = ()) -> None:
        self._proxies = TrustedProxies(trusted_proxies)
        self.trusts = self._proxies.trusts
        self._key = key
        self._known = tuple(known)
        self._known_names = frozenset(folded(rule.name) for rule in self._known)
        # Most calls come from the same few callers.
        self._callers: dict[tuple[object, ...], Caller] = {}
        self._cache_key = os.urandom(32)

    def identify(
        self,
        peer: str | None,
        forwarded_for: Sequence[str],
        authorization: str | None,
        user_agent: str | None,
        *,
        declared_name: str | None = None,
        repository: str = "",
        workflow: str | None = None,
    ) -> Caller:
        """Name the caller.

        Args:
            peer: address of the other end of the connection.
            forwarded_for: values of ``X-Forwarded-For``, one per header line.
            authorization: value of ``Authorization``.
            user_agent: value of ``User-Agent``.
            declared_name: value of the header configured as ``callers.header``.
            repository: ``org/repo`` or ``id:…``.
            workflow: name of the workflow, if the call has one.
        """
        digest = self._digest(authorization) if authorization else None
        key = (peer, tuple(forwarded_for), digest, user_agent, declared_name, repository, workflow)
        caller = self._callers.get(key)  # a tuple is faster to make
        if caller is None:
            request = _IdentityInput(*key)
            caller = self._identify(request, authorization)
            length = sum(map(len, request.forwarded_for)) + sum([len(text) for text in request[2:] if text is not None])
            if length <= _MAX_CACHED_LENGTH:
                if len(self._callers) >= _MAX_CACHED:
                    self._callers.clear()
                self._callers[request] = caller
        return caller

    def _digest(self, authorization: str) -> bytes:
        text = authorization.encode("utf-8", "surrogateescape")
        return hashlib.blake2b(text, key=self._cache_key, digest_size=16).digest()

    def _identify(self, request: _IdentityInput, authorization: str | None) -> Caller:
        secret = token(authorization)
        attributes = CallAttributes(
            fingerprint(self._key, secret) if secret else None,
            request.user_agent[:USER_AGENT_LENGTH] if request.user_agent else None,
            self._proxies.client_ip(request.peer, request.forwarded_for),
            request.repository,
            request.workflow,
        )
        rule = first_match(self._known, attributes)
        name, source = self._name(rule, attributes, (request.declared_name or "").strip()[:NAME_LENGTH])
        owner = rule.owner if rule is not None else None
        return Caller(name, source, owner, attributes.token, attributes.client_ip, attributes.user_agent, rule)

    def _name(self, rule: Rule | None, attributes: CallAttributes, declared_name: str) -> tuple[str, CallerSource]:
        if rule is not None:
            return rule.name, "known"
        if declared_name and may_be_declared(declared_name, self._known_names):
            return declared_name, "header"
        if attributes.token is not None:
            return f"token:{attributes.token}", "token"
        where = " ".join(part for part in (attributes.client_ip, attributes.user_agent) if part)
        return where or "unknown", "address"


def may_be_declared(name: str, known: AbstractSet[str]) -> bool:
    """Whether a caller may give itself this name in the header: not that of a known caller, nor a fingerprint.

    Args:
        name: what it says.
        known: names of known callers, each as `folded` returns it.
    """
    name = folded(name)
    return bool(name) and name not in known and _RESERVED.match(name) is None


def folded(name: str) -> str:
    """A name as it is compared: case, width, white space and invisible characters make no difference."""
    name = unicodedata.normalize("NFKC", name).casefold()
    return " ".join("".join(char if char.isprintable() else " " * char.isspace() for char in name).split())


def merged_rule(rules: Sequence[Rule]) -> Rule:
    """One rule for a caller that several name. Its dates are the last ones, and it is ignored if all of them say so.

    Args:
        rules: rules with the same name, at least one.
    """
    first, migrated = rules[0], [rule.migrated for rule in rules if rule.migrated is not None]
    return first._replace(
        migrated=max(migrated) if len(migrated) == len(rules) else None,
        extension=max((rule.extension for rule in rules if rule.extension is not None), default=None),
        exempt_from_freeze=any(rule.exempt_from_freeze for rule in rules),
        note=next((rule.note for rule in rules if rule.note is not None), None),
        promised=max((rule.promised for rule in rules if rule.promised is not None), default=None),
        ignore=all(rule.ignore for rule in rules),
    )


def policy_subject(name: str, rule: Rule | None, *, has_record: bool) -> lifecycle.PolicySubject:
    """A caller as the policy sees it.

    Args:
        name: name in reports.
        rule: the rule that names the caller, if any.
        has_record: whether the log has a call from before the freeze.
    """
    if rule is None:
        return lifecycle.PolicySubject(name, is_new=not has_record)
    is_new = not (has_record or rule.exempt_from_freeze)
    return lifecycle.PolicySubject(name, rule.owner, rule.migrated, rule.extension, is_new)


def first_match(rules: Iterable[Rule], attributes: CallAttributes) -> Rule | None:
    """The first rule that matches, or None."""
    return next((rule for rule in rules if _matches(rule, attributes)), None)


def _matches(rule: Rule, attributes: CallAttributes) -> bool:
    criteria = (
        (rule.tokens, lambda wanted: wanted == attributes.token),
        (rule.networks, lambda wanted: attributes.client_ip is not None and _is_in(attributes.client_ip, wanted)),
        (rule.agents, lambda wanted: fnmatchcase(attributes.user_agent or "", wanted)),
        (rule.repositories, lambda wanted: fnmatchcase(attributes.repository, wanted)),
        (rule.workflows, lambda wanted: fnmatchcase(attributes.workflow or "", wanted)),
    )
    return all(not values or any(map(holds, values)) for values, holds in criteria)


def _is_in(address: str, network: Network) -> bool:
    try:
        return ipaddress.ip_address(address) in network
    except ValueError:  # an older record may have any text
        return False


def token(authorization: str | None) -> str | None:
    """The credentials in an ``Authorization`` header, without the scheme (RFC 9110, section 11.4)."""
    if not authorization:
        return None
    scheme, _, credentials = authorization.strip().partition(" ")
    return credentials.strip() or scheme or None


def fingerprint(key: bytes, token: str) -> str:
    """The first 12 hex digits of HMAC-SHA-256: identifies a token without revealing it."""
    return hmac.digest(key, token.encode("utf-8", "surrogateescape"), "sha256").hex()[:FINGERPRINT_DIGITS]
