"""What the proxy's own server adds to the ASGI scope of a call, in ``scope["extensions"]``."""

from collections.abc import Mapping

import msgspec

from proxy.gateway.delivery import Delivery

NAME = "trigger_shim"
"""The key in ``scope["extensions"]``."""


class Extension(msgspec.Struct, frozen=True, gc=False):
    """The value in ``scope["extensions"]``.

    Attributes:
        target: path and query, as received.
        first_values: the first value of each header.
        delivery: whether the response reaches the caller.
    """

    target: bytes
    first_values: Mapping[bytes, bytes]
    delivery: Delivery
