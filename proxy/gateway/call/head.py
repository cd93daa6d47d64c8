"""The head of a call."""

from collections.abc import Mapping
from typing import Self

import msgspec
from starlette.types import Scope

from proxy.gateway.delivery import Delivery
from proxy.gateway.extension import NAME, Extension
from proxy.gateway.headers import Headers


class Head(msgspec.Struct, frozen=True, gc=False):
    """A call without its body.

    Attributes:
        path: raw, without the query.
        target: path and query, as received.
        first_values: the first value of each header.
        version: of HTTP, as in ``1.1``.
        peer: address of the other end of the connection; None if it has none.
        delivery: whether the response reaches the caller.
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

    @classmethod
    def of(cls, scope: Scope) -> Self:
        """Read a scope that has the extension."""
        extension: Extension = scope["extensions"][NAME]
        client = scope["client"]
        return cls(
            scope["method"],
            scope["raw_path"],
            extension.target,
            scope["headers"],
            extension.first_values,
            scope["scheme"],
            scope["http_version"],
            client[0] if client else None,
            extension.delivery,
        )

    @property
    def has_body(self) -> bool:
        """Whether the call declares a body."""
        fields = self.first_values
        return b"transfer-encoding" in fields or fields.get(b"content-length", b"0") != b"0"
