"""What the proxy's own server adds to the ASGI scope of a call, in ``scope["extensions"]``."""

from collections.abc import Mapping
from typing import NamedTuple

from proxy.gateway.delivery import Delivery

NAME = "trigger_shim"
"""The key in ``scope["extensions"]``."""


class Extension(NamedTuple):
    """The value in ``scope["extensions"]``.

    Attributes:
        target: path and query, as received.
        first_values: the first value of each header.
        delivery: whether the response reaches the caller.
    """

    target: bytes
    first_values: Mapping[bytes, bytes]
    delivery: Delivery
