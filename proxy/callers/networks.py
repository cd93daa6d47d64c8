"""The networks that strangers call from."""

import functools
import ipaddress

from proxy.callers.trusted_proxies import Network

_IPV4_BITS, _IPV6_BITS = 24, 48
"""A site has at most so many bits of prefix: 256 addresses in IPv4, and in IPv6 a /48 (RFC 6177), which is 65,536
networks of /64. By /64, one stranger alone could fill the report."""


@functools.lru_cache(4096)
def network_of(client_ip: str | None) -> Network | None:
    """The network of an address; None if it is not one."""
    try:
        address = ipaddress.ip_address((client_ip or "").partition("%")[0])  # an older version logged the zone
    except ValueError:
        return None
    bits = _IPV4_BITS if address.version == 4 else _IPV6_BITS
    return ipaddress.ip_network((address, bits), strict=False)
