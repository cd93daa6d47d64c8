"""Requests and headers of httpx, made without the conversions of its own constructors, which take 5 µs a call."""

from typing import Any

import httpx

from proxy.gateway.headers import Header


class RawHeaders(httpx.Headers):
    """Headers that httpx parses only once one is looked up by its name.

    Args:
        pairs: names and values, byte for byte.
    """

    def __init__(self, pairs: list[Header]) -> None:
        self._pairs: list[Header] | None = pairs

    @property
    def raw(self) -> list[Header]:
        """Names and values, byte for byte."""
        return self._pairs if self._pairs is not None else super().raw

    def __getattr__(self, name: str) -> Any:
        # Only what httpx's constructor sets can be missing.
        pairs, self._pairs = self._pairs, None
        if pairs is None:
            raise AttributeError(name)
        super().__init__(pairs)
        return getattr(self, name)


class RawRequest(httpx.Request):
    """A request of which each part is given as httpx keeps it."""

    def __init__(
        self,
        method: str,
        url: httpx.URL,
        headers: httpx.Headers,
        stream: httpx.AsyncByteStream,
        extensions: dict[str, Any],
    ) -> None:
        self.method = method
        self.url = url
        self.headers = headers
        self.stream = stream
        self.extensions = extensions
