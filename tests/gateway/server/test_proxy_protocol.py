import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.gateway.server.proxy_protocol import MAX_SIZE, Client, Malformed, parse

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
IPV4 = bytes([198, 51, 100, 7, 192, 0, 2, 1]) + struct.pack("!HH", 51234, 443)
IPV6 = bytes.fromhex("20010db8" + "00" * 11 + "07" + "20010db8" + "00" * 11 + "01") + struct.pack("!HH", 51234, 443)
MAPPED = bytes(10) + b"\xff\xff" + IPV4[:4] + bytes(16) + IPV4[8:]
UNIX = b"/run/a".ljust(108, b"\0") * 2
EXTENSION = b"\x20\0\x05\1\0\0\0\0"


def binary(addresses: bytes = IPV4, family: int = 0x11, command: int = 0x21, length: int | None = None) -> bytes:
    size = len(addresses) if length is None else length
    return SIGNATURE + struct.pack("!BBH", command, family, size) + addresses


SOUND: dict[str, tuple[bytes, Client | None]] = {
    "line, IPv4": (b"PROXY TCP4 198.51.100.7 192.0.2.1 51234 443\r\n", ("198.51.100.7", 51234)),
    "line, IPv6": (b"PROXY TCP6 2001:db8::7 2001:db8::1 51234 443\r\n", ("2001:db8::7", 51234)),
    "line, IPv6 in its long form": (
        b"PROXY TCP6 2001:0DB8:0000:0000:0000:0000:0000:0007 ::1 1 2\r\n",
        ("2001:db8::7", 1),
    ),
    "line, IPv4 in IPv6": (b"PROXY TCP6 ::ffff:198.51.100.7 ::1 1 2\r\n", ("198.51.100.7", 1)),
    "line, port 0": (b"PROXY TCP4 198.51.100.7 192.0.2.1 0 65535\r\n", ("198.51.100.7", 0)),
    "line, unknown": (b"PROXY UNKNOWN\r\n", None),
    "line, unknown and whatever": (b"PROXY UNKNOWN ffff:f...f:ffff 1 \xff\r\n", None),
    "line, as long as can be": (b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n", None),
    "binary, IPv4": (binary(), ("198.51.100.7", 51234)),
    "binary, IPv6": (binary(IPV6, 0x21), ("2001:db8::7", 51234)),
    "binary, IPv4 in IPv6": (binary(MAPPED, 0x21), ("198.51.100.7", 51234)),
    "binary, with extensions": (binary(IPV4 + EXTENSION * 100), ("198.51.100.7", 51234)),
    "binary, as long as can be": (binary(IPV4 + bytes(MAX_SIZE - 28)), ("198.51.100.7", 51234)),
    "binary, a balancer's own check": (binary(b"", 0x00, 0x20), None),
    "binary, such a check with addresses": (binary(IPV4, 0x11, 0x20), None),
    "binary, such a check of any family": (binary(b"x", 0xFF, 0x20), None),
    "binary, unspecified": (binary(b"", 0x00), None),
    "binary, unspecified with extensions": (binary(EXTENSION, 0x00), None),
    "binary, Unix": (binary(UNIX, 0x31), None),
}

MALFORMED = {
    "HTTP": b"GET / HTTP/1.1\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
    "an empty line first": b"\r\nPROXY UNKNOWN\r\n",
    "lower case": b"proxy TCP4 198.51.100.7 192.0.2.1 51234 443\r\n",
    "no space": b"PROXYTCP4",
    "two spaces": b"PROXY  TCP4 198.51.100.7 192.0.2.1 51234 443\r\n",
    "two spaces inside": b"PROXY TCP4 198.51.100.7  192.0.2.1 51234 443\r\n",
    "a tab": b"PROXY\tTCP4 198.51.100.7 192.0.2.1 51234 443\r\n",
    "a space at the end": b"PROXY TCP4 198.51.100.7 192.0.2.1 51234 443 \r\n",
    "something more": b"PROXY TCP4 198.51.100.7 192.0.2.1 51234 443 x\r\n",
    "too little": b"PROXY TCP4 198.51.100.7 192.0.2.1 51234\r\n",
    "nothing": b"PROXY \r\n",
    "another kind": b"PROXY UDP4 198.51.100.7 192.0.2.1 51234 443\r\n",
    "unknown, and letters": b"PROXY UNKNOWNX\r\n",
    "a newline alone": b"PROXY UNKNOWN\n",
    "a return inside": b"PROXY TCP4 198.51.100.7 192.0.2.1 51234 44\r3\r\n",
    "a name": b"PROXY TCP4 localhost 192.0.2.1 51234 443\r\n",
    "an octet over 255": b"PROXY TCP4 198.51.100.700 192.0.2.1 51234 443\r\n",
    "an octet in octal": b"PROXY TCP4 198.51.100.07 192.0.2.1 51234 443\r\n",
    "three octets": b"PROXY TCP4 198.51.100 192.0.2.1 51234 443\r\n",
    "a wrong destination": b"PROXY TCP4 198.51.100.7 x 51234 443\r\n",
    "IPv6 for IPv4": b"PROXY TCP4 2001:db8::7 192.0.2.1 51234 443\r\n",
    "IPv4 for IPv6": b"PROXY TCP6 2001:db8::7 192.0.2.1 51234 443\r\n",
    "brackets": b"PROXY TCP6 [2001:db8::7] ::1 51234 443\r\n",
    "a zone": b"PROXY TCP6 fe80::7%eth0 ::1 51234 443\r\n",
    "bytes that are no text": b"PROXY TCP4 \xff\xfe 192.0.2.1 51234 443\r\n",
    "a port over 65535": b"PROXY TCP4 198.51.100.7 192.0.2.1 65536 443\r\n",
    "the other port over 65535": b"PROXY TCP4 198.51.100.7 192.0.2.1 443 65536\r\n",
    "a port with a zero before it": b"PROXY TCP4 198.51.100.7 192.0.2.1 0443 443\r\n",
    "a port with a sign": b"PROXY TCP4 198.51.100.7 192.0.2.1 +443 443\r\n",
    "a port of many digits": b"PROXY TCP4 198.51.100.7 192.0.2.1 " + b"9" * 40 + b" 443\r\n",
    "a line that is too long": b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",
    "a line without an end": b"PROXY UNKNOWN" + b" " * 100,
    "a wrong signature": SIGNATURE[:-1] + b"\r" + binary()[12:],
    "version 1 in binary": binary(command=0x11),
    "version 3": binary(command=0x31),
    "an unknown command": binary(command=0x22),
    "an unknown family": binary(family=0x41),
    "UDP": binary(family=0x12),
    "an unknown transport": binary(family=0x10),
    "no addresses": binary(b""),
    "an address that is too short": binary(IPV4[:-1]),
    "IPv4 for IPv6 in binary": binary(IPV4, 0x21),
    "too long": binary(b"", length=MAX_SIZE - 15),
    "far too long": binary(b"", length=0xFFFF),
    "a check that is too long": binary(b"", 0, 0x20, length=0xFFFF),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_header_is_read_and_nothing_behind_it(name: str) -> None:
    sent, client = SOUND[name]
    for more in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\r\n", sent):
        assert parse(sent + more) == (len(sent), client)


@pytest.mark.parametrize("name", SOUND)
def test_the_beginning_of_one_is_waited_for(name: str) -> None:
    sent, _ = SOUND[name]
    assert [parse(sent[:size]) for size in range(len(sent))] == [None] * len(sent)


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_header_is_refused(name: str) -> None:
    with pytest.raises(Malformed):
        parse(MALFORMED[name])


@pytest.mark.parametrize("name", MALFORMED)
def test_it_is_not_believed_at_any_moment_before(name: str) -> None:
    sent = MALFORMED[name]
    for size in range(len(sent)):
        with suppress(Malformed):
            assert parse(sent[:size]) is None


def test_at_the_latest_at_the_longest_size_it_is_decided() -> None:
    for begun in (b"PROXY UNKNOWN ", binary(b"", length=MAX_SIZE - 16)):
        with suppress(Malformed):
            assert parse(begun.ljust(MAX_SIZE, b" ")) is not None


_PIECES = st.sampled_from([sent for sent, _ in SOUND.values()] + list(MALFORMED.values()))


@given(st.binary(max_size=64), st.tuples(_PIECES, st.integers(0, 60), st.binary(max_size=4)))
def test_whatever_comes_it_is_read_refused_or_waited_for(noise: bytes, changed: tuple[bytes, int, bytes]) -> None:
    sent, at, other = changed
    for data in (noise, sent + noise, sent[:at] + other + sent[at + len(other) :]):
        with suppress(Malformed):
            header = parse(data)
            assert header is None or 15 <= header.size <= len(data)
