"""The paths of the withdrawn endpoints, in segments."""

from collections.abc import Iterator
from typing import NamedTuple

from proxy.withdrawn.current import FIRST_SEGMENTS
from proxy.withdrawn.endpoints import ENDPOINTS, Endpoint

HOST = "api.sourcecraft.tech"
"""The host of the service (API.md)."""

OWNED = frozenset(FIRST_SEGMENTS)


class Shape(NamedTuple):
    """The path of an endpoint in segments; `key` is the index of the first one that identifies it."""

    endpoint: Endpoint
    segments: tuple[str, ...]
    key: int

    @property
    def is_trigger(self) -> bool:
        """Whether the body changes, too."""
        return self.endpoint.is_trigger


def _shapes() -> Iterator[Shape]:
    for endpoint in ENDPOINTS:
        segments = tuple(endpoint.path.split("/")[1:])
        keys = [index for index, word in enumerate(segments) if "{" not in word and word not in OWNED]
        if keys:
            yield Shape(endpoint, segments, keys[0])


SHAPES = tuple(_shapes())
KEYS = frozenset(shape.segments[shape.key] for shape in SHAPES)
REPOSITORY = {endpoint.method: endpoint for endpoint in ENDPOINTS if endpoint.path == "/{org}/{repo}"}
"""The endpoints of a repository itself, by method."""
