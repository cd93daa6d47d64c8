import gc
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy import config
from proxy.gateway.metrics import Metrics
from proxy.gateway.processes import start
from proxy.gateway.server.listeners import Listeners, ServeError


@pytest.fixture
def garbage() -> Iterator[None]:
    """Give the tests after this one the garbage collector that they had."""
    thresholds, frozen = gc.get_threshold(), gc.get_freeze_count()
    gc.unfreeze()
    yield
    gc.unfreeze()
    if frozen:
        gc.freeze()
    gc.set_threshold(*thresholds)


@pytest.mark.usefixtures("garbage")
def test_what_exists_at_the_start_is_never_collected() -> None:
    start.freeze_startup_objects()
    assert gc.get_freeze_count() > 10_000
    assert gc.get_threshold()[0] == 10_000


def test_a_log_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "callers.jsonl").mkdir()
    settings = config.load(None, {}, {"callers": {"log": str(tmp_path / "callers.jsonl")}})
    with socket.socket(socket.AF_UNIX) as public, pytest.raises(ServeError) as raised:
        start.application(settings, Listeners(public), Metrics(settings))
    assert str(raised.value) == f"callers.log: {tmp_path}/callers.jsonl: Is a directory"
