"""The head of a call."""

from collections.abc import Mapping

import msgspec

from proxy.gateway.buffered import Held
from proxy.gateway.delivery import Delivery
from proxy.gateway.headers import Headers

EXTENSION = "trigger_shim"
"""Where the head is in ``scope["extensions"]``: the standard ASGI scope cannot say all of it."""


class Head(msgspec.Struct, frozen=True, gc=False):
    """A call without its body.

    Attributes:
        path: raw, without the query.
        target: path and query, as received.
        first_values: the first value of each header.
        version: of HTTP, as in ``1.1``.
        peer: address of the caller, or of the proxy before it; `UNIX_PEER` on a Unix socket, None if it is not known.
        delivery: whether the response reaches the caller.
        held: what is held of the request.
    """

    method: str
    path: bytes
    target: bytes
    headers: Headers
    first_values: Mapping[bytes, bytes]
    scheme: str
    version: str
    peer: str | None
    delivery: Delivery
    held: Held = msgspec.field(default_factory=Held)
