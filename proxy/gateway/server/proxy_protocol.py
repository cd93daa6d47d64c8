"""The header of the PROXY protocol, versions 1 and 2.

A balancer that passes connections on sends it as the first bytes of each, to say who has connected to it:
https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt
"""

import ipaddress
import re
import struct
from typing import NamedTuple

from proxy.callers.trusted_proxies import unmapped

Client = tuple[str, int]
"""Address and port of a caller."""

MAX_SIZE = 4096
"""Bytes of a header, extensions included; HAProxy and the clouds send a few hundred at most."""

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_HEAD = struct.Struct("!12sBBH")
_VERSION, _LOCAL, _PROXY = 0x20, 0, 1
_UNSPECIFIED, _UNIX = 0x00, 0x31
_ADDRESSES = {0x11: struct.Struct("!4s4sHH"), 0x21: struct.Struct("!16s16sHH")}

_LINE_START = b"PROXY "
_MAX_LINE = 107
_LINE = re.compile(rb"PROXY (?:UNKNOWN(?: .*)?|TCP([46]) (\S+) (\S+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4}))\r\n", re.DOTALL)


class Malformed(ValueError):
    """These bytes are not the beginning of a header. The message says why, for the operator."""


class ProxyHeader(NamedTuple):
    """A header.

    Attributes:
        size: in bytes.
        client: who has connected to the balancer; None if that speaks for itself, or does not know.
    """

    size: int
    client: Client | None


def parse(data: bytes) -> ProxyHeader | None:
    """Read the header at the beginning of a connection; None if more of it has to arrive first.

    Raises:
        Malformed: there is none.
    """
    if data[:12] == _SIGNATURE[: len(data)]:
        return _parse_binary(data)
    if data[:6] == _LINE_START[: len(data)]:
        return _parse_line(data)
    raise Malformed("no header of the PROXY protocol")


def _parse_line(data: bytes) -> ProxyHeader | None:
    line, newline, _ = data[:_MAX_LINE].partition(b"\n")
    if not newline:
        if len(line) == _MAX_LINE:
            raise Malformed(f"the header has more than {_MAX_LINE} bytes")
        return None
    found = _LINE.fullmatch(line + newline)
    if found is None:
        raise Malformed("a malformed header")
    if found[1] is None:
        return ProxyHeader(len(line) + 1, None)
    source, _ = (_address(text.decode("latin-1"), int(found[1])) for text in found.group(2, 3))
    port, other = int(found[4]), int(found[5])
    if max(port, other) > 65535:
        raise Malformed("a port over 65535")
    return ProxyHeader(len(line) + 1, (source, port))


def _address(text: str, version: int) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise Malformed("an address that is none") from None
    if address.version != version or "%" in text:
        raise Malformed("an address of another kind than announced")
    return str(unmapped(address))


def _parse_binary(data: bytes) -> ProxyHeader | None:
    if len(data) < _HEAD.size:
        return None
    _, command, family, length = _HEAD.unpack_from(data)
    size = _HEAD.size + length
    if command not in {_VERSION | _LOCAL, _VERSION | _PROXY}:
        raise Malformed("an unknown version or command")
    if size > MAX_SIZE:
        raise Malformed(f"the header has more than {MAX_SIZE} bytes")
    if command == _VERSION | _LOCAL or family in {_UNSPECIFIED, _UNIX}:
        return ProxyHeader(size, None) if len(data) >= size else None
    addresses = _ADDRESSES.get(family)
    if addresses is None:
        raise Malformed("an unknown family of addresses")
    if length < addresses.size:
        raise Malformed("a header that is too short for its addresses")
    if len(data) < size:
        return None
    source, _, port, _ = addresses.unpack_from(data, _HEAD.size)
    return ProxyHeader(size, (str(unmapped(ipaddress.ip_address(source))), port))
