import pytest

from proxy.callers.networks import network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.20.30.40", "10.20.30.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/48"),
        ("::ffff:10.20.30.40", "::/48"),
        ("unknown", None),
        ("", None),
        (None, None),
    ],
)
def test_the_network_of_an_address_is_that_of_a_site(address: str | None, network: str | None) -> None:
    found = network_of(address)

    assert (str(found) if found is not None else None) == network
