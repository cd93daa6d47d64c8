"""Who is calling: from the peer's address and a few headers to a named caller."""

import functools
import hmac
import ipaddress
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from proxy.callers.record import CallerSource

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

FINGERPRINT_DIGITS = 12
USER_AGENT_LENGTH = 512


class Caller(NamedTuple):
    """A caller as the record names it."""

    name: str
    source: CallerSource
    token: str | None
    client_ip: str | None
    user_agent: str | None


class Identity:
    """Names callers by the fingerprint of their token, or else by address and user agent."""

    def __init__(self, trusted_proxies: Iterable[Network], key: bytes) -> None:
        self._trusted = tuple(trusted_proxies)
        self._key = key
        # The same few peers come again and again.
        self._hop = functools.lru_cache(4096)(self._parse_hop)

    def identify(
        self,
        peer: str | None,
        forwarded_for: Sequence[str],
        authorization: str | None,
        user_agent: str | None,
    ) -> Caller:
        """Name the caller.

        Args:
            peer: address of the other end of the connection.
            forwarded_for: the values of ``X-Forwarded-For``, a value a header line.
            authorization: the value of ``Authorization``.
            user_agent: the value of ``User-Agent``.
        """
        client_ip = self.client_ip(peer, forwarded_for)
        agent = user_agent[:USER_AGENT_LENGTH] if user_agent else None
        secret = token(authorization)
        if secret:
            print_ = fingerprint(self._key, secret)
            return Caller(f"token:{print_}", "token", print_, client_ip, agent)
        name = " ".join(part for part in (client_ip, agent) if part) or "unknown"
        return Caller(name, "address", None, client_ip, agent)

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
            address, trusted = self._hop(hops.pop())
            client = address or client
        return client or peer

    def _parse_hop(self, text: str) -> tuple[str | None, bool]:
        text = text.strip()
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


def token(authorization: str | None) -> str | None:
    """The credentials in a value of ``Authorization``, without their scheme (RFC 9110, section 11.4)."""
    if not authorization:
        return None
    scheme, _, credentials = authorization.strip().partition(" ")
    return credentials.strip() or scheme or None


def fingerprint(key: bytes, token: str) -> str:
    """HMAC-SHA-256 of a token under a key, its first 12 hexadecimal digits: names a token without giving it away."""
    return hmac.digest(key, token.encode("utf-8", "surrogateescape"), "sha256").hex()[:FINGERPRINT_DIGITS]
