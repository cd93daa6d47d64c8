"""Who is calling: from the peer's address and a few headers to a named caller."""

import functools
import hmac
import ipaddress
from collections.abc import Iterable, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple

from proxy.withdrawn import lifecycle

CallerSource = Literal["known", "header", "token", "address"]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# What callers make up must not fill the memory.
_LONGEST_REMEMBERED = 1024
_LONGEST_ADDRESS = 64

FINGERPRINT_DIGITS = 12
USER_AGENT_LENGTH = 512
NAME_LENGTH = 128


class Rule(NamedTuple):
    """Names a caller that is known: it matches where each of its criteria that is not empty does, in any of its values.

    Attributes:
        contact: how to reach the owner.
        tokens: fingerprints.
        agents, repositories, workflows: globs; a repository is ``org/repo``, or ``id:…``.
        migrated: from when on the caller is refused.
        extension: until when it may go on past the sunset.
        exempt_from_freeze: it may call although it is new.
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


class Traits(NamedTuple):
    """What is known of a call's caller before it has a name."""

    token: str | None
    user_agent: str | None
    client_ip: str | None
    repository: str
    workflow: str | None


class Caller(NamedTuple):
    """A caller as the record names it.

    Attributes:
        rule: the one that names it, if any.
    """

    name: str
    source: CallerSource
    owner: str | None
    token: str | None
    client_ip: str | None
    user_agent: str | None
    rule: Rule | None


class _Told(NamedTuple):
    """What a call tells of its caller."""

    peer: str | None
    forwarded_for: tuple[str, ...]
    authorization: str | None
    user_agent: str | None
    given_name: str | None
    repository: str
    workflow: str | None


class Identity:
    """Names callers: by the first rule that matches, a header, the fingerprint of their token, or where they call from.

    Args:
        trusted_proxies: networks whose ``X-Forwarded-For`` is believed.
        key: of the fingerprints.
        known: rules, the first match of which wins.
    """

    def __init__(self, trusted_proxies: Iterable[Network], key: bytes, known: Iterable[Rule] = ()) -> None:
        self._trusted = tuple(trusted_proxies)
        self._key = key
        self._known = tuple(known)
        # The same few peers and callers come again and again.
        self._hop = functools.lru_cache(4096)(self._parse_hop)
        self._remembered = functools.lru_cache(4096)(self._identify)

    def identify(
        self,
        peer: str | None,
        forwarded_for: Sequence[str],
        authorization: str | None,
        user_agent: str | None,
        *,
        given_name: str | None = None,
        repository: str = "",
        workflow: str | None = None,
    ) -> Caller:
        """Name the caller.

        Args:
            peer: address of the other end of the connection.
            forwarded_for: the values of ``X-Forwarded-For``, a value a header line.
            authorization: the value of ``Authorization``.
            user_agent: the value of ``User-Agent``.
            given_name: the value of the configured header.
            repository: ``org/repo``, or ``id:…``.
            workflow: its name, where the call has one.
        """
        told = _Told(peer, tuple(forwarded_for), authorization, user_agent, given_name, repository, workflow)
        length = sum(map(len, told.forwarded_for)) + sum([len(text) for text in told[2:] if text is not None])
        return self._remembered(told) if length <= _LONGEST_REMEMBERED else self._identify(told)

    def _identify(self, told: "_Told") -> Caller:
        secret = token(told.authorization)
        traits = Traits(
            fingerprint(self._key, secret) if secret else None,
            told.user_agent[:USER_AGENT_LENGTH] if told.user_agent else None,
            self.client_ip(told.peer, told.forwarded_for),
            told.repository,
            told.workflow,
        )
        rule = first_match(self._known, traits)
        name, source = _name(rule, traits, (told.given_name or "").strip()[:NAME_LENGTH])
        owner = rule.owner if rule is not None else None
        return Caller(name, source, owner, traits.token, traits.client_ip, traits.user_agent, rule)

    def trusts(self, peer: str | None) -> bool:
        """Whether what a peer says of earlier hops is believed."""
        return peer is not None and self._hop(peer)[1]

    def client_ip(self, peer: str | None, forwarded_for: Sequence[str]) -> str | None:
        """The peer, or the first untrusted hop from the right of ``X-Forwarded-For`` where the peer is trusted.

        What is not an address ends the walk: whoever wrote it may have invented the rest.
        """
        if peer is None:
            return None
        client, trusted = self._hop(peer)
        hops = [hop for hop in ",".join(forwarded_for).split(",") if hop.strip()]
        while trusted and hops:
            hop = hops.pop().strip()
            address, trusted = self._hop(hop) if len(hop) <= _LONGEST_ADDRESS else (None, False)
            client = address or client
        return client or peer

    def _parse_hop(self, text: str) -> tuple[str | None, bool]:
        if text.startswith("["):
            text = text[1:].partition("]")[0]
        elif text.count(":") == 1:
            text = text.partition(":")[0]
        try:
            address: Address = ipaddress.ip_address(text)
        except ValueError:
            return None, False
        address = getattr(address, "ipv4_mapped", None) or address
        return str(address), any(address in network for network in self._trusted)


def _name(rule: Rule | None, traits: Traits, given_name: str) -> tuple[str, CallerSource]:
    if rule is not None:
        return rule.name, "known"
    if given_name:
        return given_name, "header"
    if traits.token is not None:
        return f"token:{traits.token}", "token"
    where = " ".join(part for part in (traits.client_ip, traits.user_agent) if part)
    return where or "unknown", "address"


def party(name: str, rule: Rule | None, *, has_record: bool) -> lifecycle.PolicySubject:
    """A caller as the policy sees it.

    Args:
        name: as reports have it.
        rule: the one that names it, if any.
        has_record: from before the freeze.
    """
    if rule is None:
        return lifecycle.PolicySubject(name, is_new=not has_record)
    is_new = not (has_record or rule.exempt_from_freeze)
    return lifecycle.PolicySubject(name, rule.owner, rule.migrated, rule.extension, is_new)


def first_match(rules: Iterable[Rule], traits: Traits) -> Rule | None:
    """The first rule that a caller with these traits matches."""
    return next((rule for rule in rules if _matches(rule, traits)), None)


def _matches(rule: Rule, traits: Traits) -> bool:
    criteria = (
        (rule.tokens, lambda wanted: wanted == traits.token),
        (rule.networks, lambda wanted: traits.client_ip is not None and _within(traits.client_ip, wanted)),
        (rule.agents, lambda wanted: fnmatchcase(traits.user_agent or "", wanted)),
        (rule.repositories, lambda wanted: fnmatchcase(traits.repository, wanted)),
        (rule.workflows, lambda wanted: fnmatchcase(traits.workflow or "", wanted)),
    )
    return all(not values or any(map(holds, values)) for values, holds in criteria)


def _within(address: str, network: Network) -> bool:
    try:
        return ipaddress.ip_address(address) in network
    except ValueError:  # a peer that has no address: a Unix socket
        return False


def token(authorization: str | None) -> str | None:
    """The credentials in a value of ``Authorization``, without their scheme (RFC 9110, section 11.4)."""
    if not authorization:
        return None
    scheme, _, credentials = authorization.strip().partition(" ")
    return credentials.strip() or scheme or None


def fingerprint(key: bytes, token: str) -> str:
    """HMAC-SHA-256 of a token under a key, its first 12 hexadecimal digits: names a token without giving it away."""
    return hmac.digest(key, token.encode("utf-8", "surrogateescape"), "sha256").hex()[:FINGERPRINT_DIGITS]
