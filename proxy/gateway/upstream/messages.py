"""Requests and headers of httpx, made without the conversions of its own constructors, which take 5 µs a call."""

from typing import Any

import httpx

from proxy.gateway.headers import Header


class RawHeaders(httpx.Headers):
    """Headers that httpx parses only once one is looked up by its name; they are not to be changed.

    Attributes:
        raw: names and values, byte for byte.
    """

    raw: list[Header] = []  # noqa: RUF012 - replaces a property of httpx, which could not be set

    def __init__(self, pairs: list[Header]) -> None:
        self.raw = pairs

    def __getattr__(self, name: str) -> Any:
        """Parse, for only then do the attributes of httpx's own constructor exist."""
        super().__init__(self.raw)
        return object.__getattribute__(self, name)


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
