"""Where a call came from, as the proxies that are trusted say."""

import functools
import ipaddress
from collections.abc import Iterable, Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

UNIX_PEER = "\0unix"
"""Stands for the other end of a Unix socket, which has no address. No header can hold it. It is trusted, since the
mode of the file says who may connect."""

_MAX_CACHED = 4096
_MAX_ADDRESS_LENGTH = 64


class TrustedProxies:
    """Knows which proxies are trusted to say where a call came from.

    Args:
        networks: the networks that they are in.
    """

    def __init__(self, networks: Iterable[Network]) -> None:
        self._networks = tuple(networks)
        # Most calls come from the same few peers.
        self._cached_hop = functools.lru_cache(_MAX_CACHED)(self._parse_hop)

    def trusts(self, peer: str | None) -> bool:
        """Whether the peer is believed."""
        return peer is not None and (peer == UNIX_PEER or self._cached_hop(peer)[1])

    def client_ip(self, peer: str | None, forwarded_for: Sequence[str]) -> str | None:
        """The peer, or if that is trusted, the first untrusted hop from the right of ``X-Forwarded-For``.

        Stops at anything that is not an address: the sender may have made up the rest. None if there is no address, as
        on a Unix socket without that header.
        """
        if peer is None:
            return None
        client, trusted = (None, True) if peer == UNIX_PEER else self._cached_hop(peer)
        hops = [hop for hop in ",".join(forwarded_for).split(",") if hop.strip()]
        while trusted and hops:
            hop = hops.pop().strip()
            address, trusted = self._cached_hop(hop) if len(hop) <= _MAX_ADDRESS_LENGTH else (None, False)
            client = address or client
        return client

    def _parse_hop(self, text: str) -> tuple[str | None, bool]:
        """The hop's address, None if it is not valid, and whether it is a trusted proxy."""
        if text.startswith("["):
            text = text[1:].partition("]")[0]
        elif text.count(":") == 1:
            text = text.partition(":")[0]
        try:
            # A zone may be any text, and means nothing on another machine (RFC 4007, section 11).
            address = ipaddress.ip_address(text.partition("%")[0] if ":" in text else text)
        except ValueError:
            return None, False
        address = unmapped(address)
        return str(address), any(address in network for network in self._networks)


def unmapped(address: Address) -> Address:
    """The IPv4 address in an IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2), or the address itself."""
    return getattr(address, "ipv4_mapped", None) or address
