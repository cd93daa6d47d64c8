from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import Proxy, Upstream, proxy_for


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream().running() as running:
        yield running


@pytest.fixture
def proxy(upstream: Upstream, tmp_path: Path) -> Iterator[Proxy]:
    with proxy_for(upstream.url, tmp_path) as running:
        yield running
