import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.callers.trusted_proxies import UNIX_PEER, TrustedProxies

TRUSTED = [ipaddress.ip_network(network) for network in ("127.0.0.0/8", "::1/128", "10.0.0.0/8", "fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        pytest.param("203.0.113.9", [], "203.0.113.9", id="nothing is forwarded"),
        pytest.param("203.0.113.9", ["198.51.100.1"], "203.0.113.9", id="an untrusted peer is not believed"),
        pytest.param("203.0.113.9", ["127.0.0.1"], "203.0.113.9", id="not even with a trusted address"),
        pytest.param("127.0.0.1", [], "127.0.0.1", id="a trusted peer calls for itself"),
        pytest.param("127.0.0.1", ["198.51.100.1"], "198.51.100.1", id="a trusted peer is believed"),
        pytest.param("127.0.0.1", ["192.0.2.66, 198.51.100.1"], "198.51.100.1", id="first untrusted from the right"),
        pytest.param("127.0.0.1", ["192.0.2.66, 198.51.100.1, 10.1.2.3"], "198.51.100.1", id="behind a trusted hop"),
        pytest.param("127.0.0.1", ["198.51.100.1, 10.1.2.3, 10.4.5.6"], "198.51.100.1", id="behind two"),
        pytest.param("127.0.0.1", ["10.0.0.7, 198.51.100.1"], "198.51.100.1", id="trusted ones on the left are claims"),
        pytest.param("127.0.0.1", ["10.1.2.3, 10.4.5.6"], "10.1.2.3", id="all trusted: the farthest"),
        pytest.param("127.0.0.1", ["192.0.2.66", "198.51.100.1"], "198.51.100.1", id="two lines are one list"),
        pytest.param("127.0.0.1", ["192.0.2.6", "198.51.100.1, 10.1.2.3", "10.4.5.6"], "198.51.100.1", id="three too"),
        pytest.param("127.0.0.1", ["198.51.100.1:51234"], "198.51.100.1", id="IPv4 with a port"),
        pytest.param("127.0.0.1", ["198.51.100.1, 10.1.2.3:443"], "198.51.100.1", id="a trusted hop with a port"),
        pytest.param("127.0.0.1", ["[2001:db8::1]"], "2001:db8::1", id="IPv6 in brackets"),
        pytest.param("127.0.0.1", ["[2001:db8::1]:51234"], "2001:db8::1", id="IPv6 in brackets with a port"),
        pytest.param("127.0.0.1", ["2001:db8::1"], "2001:db8::1", id="IPv6 bare"),
        pytest.param("127.0.0.1", ["2001:DB8:0:0:0:0:0:1"], "2001:db8::1", id="IPv6 in its short form"),
        pytest.param("::1", ["198.51.100.1, fd00::5"], "198.51.100.1", id="trusted IPv6 hops"),
        pytest.param("::ffff:127.0.0.1", ["198.51.100.1"], "198.51.100.1", id="IPv4-mapped trusted peer"),
        pytest.param("::ffff:203.0.113.9", ["198.51.100.1"], "203.0.113.9", id="IPv4-mapped untrusted peer"),
        pytest.param("127.0.0.1", ["198.51.100.1, ::ffff:10.1.2.3"], "198.51.100.1", id="IPv4-mapped trusted hop"),
        pytest.param("127.0.0.1", ["[::ffff:198.51.100.1]:80"], "198.51.100.1", id="IPv4-mapped in brackets"),
        pytest.param("127.0.0.1", ["garbage"], "127.0.0.1", id="garbage is no caller"),
        pytest.param("127.0.0.1", ["198.51.100.1, garbage"], "127.0.0.1", id="nothing left of garbage is believed"),
        pytest.param("127.0.0.1", ["198.51.100.1, garbage, 10.1.2.3"], "10.1.2.3", id="the last hop before it"),
        pytest.param("127.0.0.1", ["garbage, 198.51.100.1"], "198.51.100.1", id="garbage behind is unread"),
        pytest.param("127.0.0.1", ["198.51.100.1, unknown"], "127.0.0.1", id="unknown is garbage"),
        pytest.param("127.0.0.1", ["198.51.100.1, _hidden"], "127.0.0.1", id="so is an obfuscated hop"),
        pytest.param("127.0.0.1", ["198.51.100.1, 10.1.2.300"], "127.0.0.1", id="so is an octet over 255"),
        pytest.param("127.0.0.1", ["198.51.100.1, 010.1.2.3"], "127.0.0.1", id="so is an octet in octal"),
        pytest.param("127.0.0.1", ["198.51.100.1, 10.0.0.0/8"], "127.0.0.1", id="so is a network"),
        pytest.param("127.0.0.1", [""], "127.0.0.1", id="an empty line"),
        pytest.param("127.0.0.1", ["198.51.100.1,"], "198.51.100.1", id="an empty element is no hop"),
        pytest.param("127.0.0.1", [", 198.51.100.1, , 10.1.2.3 ,"], "198.51.100.1", id="several empty elements"),
        pytest.param("127.0.0.1", ["198.51.100.1", ""], "198.51.100.1", id="an empty line after a full one"),
        pytest.param("127.0.0.1", ["  198.51.100.1\t,10.1.2.3 "], "198.51.100.1", id="whitespace around"),
        pytest.param("127.0.0.1", [" \t "], "127.0.0.1", id="nothing but whitespace"),
        pytest.param(None, ["198.51.100.1"], None, id="no peer, nobody to trust"),
        pytest.param("a-socket", ["198.51.100.1"], None, id="a peer that is no address is not trusted"),
        pytest.param(UNIX_PEER, ["192.0.2.66, 198.51.100.1, 10.1.2.3"], "198.51.100.1", id="a Unix socket is trusted"),
        pytest.param(UNIX_PEER, [], None, id="a Unix socket has no address"),
        pytest.param(UNIX_PEER, ["198.51.100.1, garbage"], None, id="not even behind garbage"),
        pytest.param("127.0.0.1", [f"198.51.100.1, {UNIX_PEER}"], "127.0.0.1", id="nobody can claim to be one"),
        pytest.param("fe80::1%eth0\x1b[2J", [], "fe80::1", id="a zone is cut"),
        pytest.param("127.0.0.1", ["[fe80::1%25eth0 x]:80"], "fe80::1", id="a zone in a forwarded address, too"),
        pytest.param("127.0.0.1", ["198.51.100.1%x"], "127.0.0.1", id="IPv4 has no zones"),
    ],
)
def test_the_client_is_the_first_hop_from_the_right_that_is_not_trusted(
    peer: str | None, forwarded_for: list[str], client: str | None
) -> None:
    assert TrustedProxies(TRUSTED).client_ip(peer, forwarded_for) == client


def test_without_trusted_proxies_no_forwarded_address_is_used() -> None:
    assert TrustedProxies([]).client_ip("127.0.0.1", ["198.51.100.1"]) == "127.0.0.1"


def test_cached_hops_give_the_same_result() -> None:
    same = TrustedProxies(TRUSTED)

    for _ in range(2):
        assert same.client_ip("127.0.0.1", ["192.0.2.66, 198.51.100.1, 10.1.2.3"]) == "198.51.100.1"
        assert same.client_ip("203.0.113.9", ["198.51.100.1"]) == "203.0.113.9"


@settings(deadline=None)
@given(st.none() | st.text(), st.lists(st.text(st.characters(max_codepoint=255))))
def test_no_header_changes_the_address_of_an_untrusted_peer(peer: str | None, forwarded_for: list[str]) -> None:
    assert TrustedProxies(TRUSTED).client_ip("203.0.113.9", forwarded_for) == "203.0.113.9"
    TrustedProxies(TRUSTED).client_ip(peer, forwarded_for)
    TrustedProxies(TRUSTED).client_ip("127.0.0.1", forwarded_for)


@pytest.mark.parametrize(
    ("peer", "trusted"), [("10.1.2.3", True), (UNIX_PEER, True), ("192.0.2.1", False), ("unix", False), (None, False)]
)
def test_a_peer_is_trusted_by_its_network_or_since_it_may_open_the_socket(peer: str | None, *, trusted: bool) -> None:
    assert TrustedProxies(TRUSTED).trusts(peer) is trusted
